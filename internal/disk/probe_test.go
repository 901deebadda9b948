package disk_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

func TestProbe(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), disk.Options{})
	for range 2 {
		if err := db.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	}
	db.Close()
	if err := db.Probe(t.Context()); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("Probe of a closed database: %v", err)
	}
}

// TestProbeWithLittleRoom has a file system that a small write fits into, which takes root to make.
func TestProbeWithLittleRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	db := open(t, filepath.Join(dir, "db"), disk.Options{})
	if err := db.Probe(t.Context()); !errors.Is(err, disk.ErrFull) {
		t.Errorf("Probe with 8 MB = %v; want ErrFull", err)
	}
	db.Close()
}
