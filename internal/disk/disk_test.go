package disk_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

var schema = []string{`CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB NOT NULL); CREATE TABLE u (n INTEGER)`}

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

func put(db *disk.DB, k string) error {
	return db.Write(context.Background(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`INSERT INTO t (k, v) VALUES (?, ?)`, k, []byte(k))
		return err
	})
}

func count(t testing.TB, db *disk.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, disk.Options{})
	if _, err := disk.Open(path, disk.Options{}); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("second Open: %v; want ErrInUse", err)
	}
	if err := put(db, "a"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path, disk.Options{})); n != 1 {
		t.Errorf("%d rows after opening again; want 1", n)
	}
}
