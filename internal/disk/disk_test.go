package disk_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

var schema = []string{`CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB NOT NULL)`}

func open(t testing.TB, path string, o disk.Options) *disk.DB {
	t.Helper()
	db, err := disk.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(context.Background(), "test", schema); err != nil {
		t.Fatal(err)
	}
	return db
}

// put is a write of one row.
func put(k string, size int) func(*disk.Tx) error {
	return func(tx *disk.Tx) error {
		_, err := tx.Exec(`INSERT INTO t (k, v) VALUES (?, zeroblob(?))`, k, size)
		return err
	}
}

// wantKeys compares the keys that are stored.
func wantKeys(t testing.TB, db *disk.DB, want ...string) {
	t.Helper()
	rows, err := db.Query(context.Background(), `SELECT k FROM t ORDER BY k`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			t.Fatal(err)
		}
		got = append(got, k)
	}
	if diff := cmp.Diff(want, got); diff != "" || rows.Err() != nil {
		t.Errorf("stored keys (-want +got), %v:\n%s", rows.Err(), diff)
	}
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41.db") // a path is not a URL
	db := open(t, path, disk.Options{})
	if _, err := disk.Open(path, disk.Options{}); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("second Open: %v; want ErrInUse", err)
	}
	if !disk.InUse(path) {
		t.Error("InUse of an open database: false")
	}
	if err := db.Write(t.Context(), put("a", 0)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), put("b", 0)); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("Write after Close: %v; want ErrClosed", err)
	}
	if disk.InUse(path) {
		t.Error("InUse of a closed database: true")
	}
	wantKeys(t, open(t, path, disk.Options{}), "a")
}

// TestLockOfADyingProcess opens a file whose lock a child of a killed process still has,
// as long as that child has not become another program.
func TestLockOfADyingProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	child, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.FcntlFlock(child.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { child.Close() })
	open(t, path, disk.Options{})
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	open(t, path, disk.Options{})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d files, %v; want database, log, index and lock", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", e.Name(), info.Mode(), err)
		}
	}
}

// TestSettings holds what durability rests on.
func TestSettings(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), disk.Options{})
	err := db.Write(t.Context(), func(tx *disk.Tx) error {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
		} {
			var got string
			if err := tx.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := disk.OpenReader(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReader without a file: %v; want ErrNotExist", err)
	}
	db := open(t, path, disk.Options{})
	reader := func() *disk.DB {
		r, err := disk.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	beside := reader()
	if err := db.Write(t.Context(), put("a", 0)); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, beside, "a")
	if err := beside.Write(t.Context(), put("b", 0)); !errors.Is(err, disk.ErrReadOnly) {
		t.Errorf("Write of a reader: %v; want ErrReadOnly", err)
	}
	if _, err := beside.Query(t.Context(), `DELETE FROM t RETURNING k`); err == nil {
		t.Error("a reader's query deleted rows")
	}
	for _, d := range []*disk.DB{beside, db} {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	alone := reader()
	defer alone.Close()
	wantKeys(t, alone, "a")
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, disk.Options{})
	steps := append(schema, `ALTER TABLE t ADD COLUMN w TEXT; UPDATE t SET w = 'two';`)
	if err := db.Write(t.Context(), put("a", 0)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := db.Migrate(t.Context(), "test", steps); err != nil {
			t.Fatal(err)
		}
	}
	var w string
	if err := db.QueryRow(t.Context(), `SELECT w FROM t`).Scan(&w); err != nil || w != "two" {
		t.Errorf("w = %q, %v; want what the second step wrote", w, err)
	}
	if err := db.Migrate(t.Context(), "test", schema); err == nil {
		t.Error("tables newer than the program were accepted")
	}
	broken := append(steps, `CREATE TABLE x (n); INSERT INTO nowhere VALUES (1);`)
	if err := db.Migrate(t.Context(), "test", broken); err == nil {
		t.Error("a broken step was accepted")
	}
	if err := db.Migrate(t.Context(), "test", append(steps, `CREATE TABLE x (n);`)); err != nil {
		t.Errorf("the step mended: %v; want nothing left of the broken one", err)
	}
}

// TestMigrated: a reader is told when tables are behind what it reads, and of which version they
// are otherwise does not matter.
func TestMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := disk.Open(path, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := disk.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	two := append(schema, `CREATE TABLE x (n)`)
	wants := func(when string, steps []string, want string) {
		t.Helper()
		err := reader.Migrated(t.Context(), "test", steps)
		if want == "" && err != nil || want != "" && (!errors.Is(err, disk.ErrOlder) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", when, err, want)
		}
	}
	wants("nothing is there", schema, "tables of test are at step 0, want 1")
	if err := db.Migrate(t.Context(), "another", schema); err != nil {
		t.Fatal(err)
	}
	wants("only another's are there", []string{"CREATE TABLE y (n)"}, "at step 0, want 1")
	if err := db.Migrate(t.Context(), "test", []string{"CREATE TABLE y (n)"}); err != nil {
		t.Fatal(err)
	}
	wants("as they are read", []string{"CREATE TABLE y (n)"}, "")
	wants("behind", two, "at step 1, want 2")
	wants("newer", nil, "")
}

// TestCloseLeavesNothingOpen looks for handles of closed databases.
func TestCloseLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "db"), disk.Options{})
	if err := db.Write(t.Context(), put("a", 0)); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, db, "a")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	handles, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handles {
		if file, err := os.Readlink(h); err == nil && strings.HasPrefix(file, dir) {
			t.Errorf("%s is still open", file)
		}
	}
}
