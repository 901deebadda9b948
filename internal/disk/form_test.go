package disk_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// openOld opens a database that has its table.
func openOld(t *testing.T, path string) *disk.DB {
	t.Helper()
	db, err := disk.Open(path, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// number reads a pragma.
func number(t testing.TB, db *disk.DB, pragma string) (n int) {
	t.Helper()
	if err := db.QueryRow(context.Background(), "PRAGMA "+pragma).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// oldFile makes a database as versions before this one did: WAL mode, pages of 4 KiB.
func oldFile(t *testing.T, rows int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(schema[0]); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if _, err := db.Exec(`INSERT INTO t (k, v) VALUES (?, zeroblob(50000))`, fmt.Sprintf("%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func wantWhole(t *testing.T, db *disk.DB, rows int) {
	t.Helper()
	var n int
	var verdict string
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM t WHERE length(v) = 50000`).Scan(&n); err != nil || n != rows {
		t.Errorf("%d rows, %v; want %d", n, err, rows)
	}
	if err := db.QueryRow(context.Background(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %q, %v", verdict, err)
	}
}

// TestPageSize: pages have the size that is meant, in a new file and in one of an older version.
func TestPageSize(t *testing.T) {
	for name, rows := range map[string]int{"new": 0, "old": 20} {
		path := filepath.Join(t.TempDir(), "db")
		if rows > 0 {
			path = oldFile(t, rows)
		}
		db := openOld(t, path)
		if n := number(t, db, "page_size"); n != 8192 {
			t.Errorf("%s file: pages of %d bytes; want 8192", name, n)
		}
		if rows > 0 {
			wantWhole(t, db, rows)
		}
	}
}

// TestPageSizeWithAReader: a reader beside keeps the file from being written anew, and nothing else.
func TestPageSizeWithAReader(t *testing.T) {
	path := oldFile(t, 3)
	reader, err := disk.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := reader.Query(t.Context(), `SELECT k FROM t`)
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	db := openOld(t, path)
	if err := db.Write(t.Context(), put("a", 50_000)); err != nil {
		t.Error(err)
	}
	rows.Close()
	reader.Close()
	wantWhole(t, db, 4)
}

// TestCompact: a file that was large once is small after the next start.
func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, disk.Options{})
	for i := range 40 {
		if err := db.Write(t.Context(), put(fmt.Sprintf("row %d", i), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Write(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = open(t, path, disk.Options{})
	db.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
		t.Errorf("the file has %d bytes, %v; want few", info.Size(), err)
	}
}

// TestKillForm kills a process while it writes a file of an older version anew.
func TestKillForm(t *testing.T) {
	const rows = 200
	if path := os.Getenv("OPEN_ONCE"); path != "" {
		openOld(t, path)
		return
	}
	killed := 0
	for round := range 10 {
		path := oldFile(t, rows)
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillForm$")
		cmd.Env = append(os.Environ(), "OPEN_ONCE="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(20+8*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
		}
		timer.Stop()
		db := openOld(t, path)
		wantWhole(t, db, rows)
		if n := number(t, db, "page_size"); n != 8192 {
			t.Errorf("pages of %d bytes; want 8192", n)
		}
		db.Close()
	}
	if killed == 0 {
		t.Skip("no process was killed in time: this machine is too fast for it")
	}
}
