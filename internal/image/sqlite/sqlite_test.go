package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/imagetest"
	"github.com/mayfly-ci/mayfly/internal/image/sqlite"
)

func TestContract(t *testing.T) {
	open := map[string]*disk.DB{} // by folder
	imagetest.Test(t, func(t *testing.T, c imagetest.Config) image.Store {
		if db := open[c.Dir]; db != nil {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			delete(open, c.Dir)
		}
		armed := false // what comes before the first input is not to fail
		commit := func(write func() error) error {
			if armed && c.Commit != nil {
				return c.Commit(write)
			}
			return write()
		}
		db, err := disk.Open(filepath.Join(c.Dir, "mayfly.db"), disk.Options{Commit: commit})
		if err != nil {
			t.Fatal(err)
		}
		open[c.Dir] = db
		t.Cleanup(func() {
			if open[c.Dir] == db {
				db.Close()
			}
		})
		s, err := sqlite.Open(t.Context(), db, sqlite.Config{Settings: func() image.Settings { return c.Settings }, Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		armed = true
		return s
	})
}

// TestEffectsCommitWithChanges: with an error of Emit nothing is kept.
func TestEffectsCommitWithChanges(t *testing.T) {
	db, err := disk.Open(filepath.Join(t.TempDir(), "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	full := errors.New("no room for an event")
	s, err := sqlite.Open(t.Context(), db, sqlite.Config{Emit: func(*disk.Tx, []image.Effect) error { return full }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), image.Sourced{Revision: "r"}); !errors.Is(err, full) { // asks for the feed
		t.Fatalf("error: %v, want %v", err, full)
	}
	if c, err := s.Catalog(t.Context()); err != nil || c.Revision != "" {
		t.Errorf("catalog %+v, %v: want nothing kept", c, err)
	}
}

// TestFileOfAnEarlierVersion: a file without a catalog says that it is of one.
func TestFileOfAnEarlierVersion(t *testing.T) {
	db, err := disk.Open(filepath.Join(t.TempDir(), "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := sqlite.Migrated(t.Context(), db); !errors.Is(err, disk.ErrOlder) {
		t.Errorf("before there is a catalog: %v, want ErrOlder", err)
	}
	if _, err := sqlite.Open(t.Context(), db, sqlite.Config{}); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Migrated(t.Context(), db); err != nil {
		t.Error(err)
	}
}
