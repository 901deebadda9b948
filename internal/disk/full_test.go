package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// fill writes rows until the disk is full, and then takes them out again.
func fill(t *testing.T, db *disk.DB) {
	t.Helper()
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = db.Write(t.Context(), put(fmt.Sprintf("row %d", i), 50_000))
	}
	if !errors.Is(err, disk.ErrFull) {
		t.Fatalf("Write on a full disk: %v; want ErrFull", err)
	}
}

func empty(tx *disk.Tx) error {
	_, err := tx.Exec(`DELETE FROM t WHERE k LIKE 'row %'`)
	return err
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "db"), disk.Options{MaxBytes: 1 << 20})
		defer db.Close()
		if err := db.Write(t.Context(), put("a", 0)); err != nil {
			t.Fatal(err)
		}
		fill(t, db)
		// Neighbours of a write that is too large may fail with it, but the answer is true.
		errs := together(db, []func(*disk.Tx) error{put("b", 0), put("c", 2<<20), put("d", 0)})
		if !errors.Is(errs[1], disk.ErrFull) {
			t.Errorf("Write on a full disk: %v; want ErrFull", errs[1])
		}
		if err := db.Write(t.Context(), empty); err != nil {
			t.Fatalf("making space: %v", err)
		}
		if err := db.Write(t.Context(), put("e", 50_000)); err != nil {
			t.Errorf("Write with space again: %v", err)
		}
		want := []string{"a"}
		for i, k := range []string{"b", "", "d"} {
			if errs[i] == nil {
				want = append(want, k)
			}
		}
		wantKeys(t, db, append(want, "e")...)
	})
}

// TestFullFileSystem meets a file system without space, which takes root to make.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v; want all files closed", err)
		}
	})
	path := filepath.Join(dir, "db")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, disk.Options{})
	if err := db.Write(t.Context(), put("a", 0)); err != nil {
		t.Fatal(err)
	}
	fill(t, db)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(*disk.Tx) error{put("b", 0), empty} {
		if err := db.Write(t.Context(), f); err != nil {
			t.Fatalf("Write with space again: %v", err)
		}
	}
	db.Close()
	db = open(t, path, disk.Options{})
	wantKeys(t, db, "a", "b")
	db.Close()
}
