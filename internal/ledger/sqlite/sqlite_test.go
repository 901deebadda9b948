package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

func TestContract(t *testing.T) {
	open := map[string]*disk.DB{} // by folder
	ledgertest.Test(t, func(t *testing.T, c ledgertest.Config) ledger.Store {
		if db := open[c.Dir]; db != nil {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			delete(open, c.Dir)
		}
		db, err := disk.Open(filepath.Join(c.Dir, "mayfly.db"), disk.Options{Commit: c.Commit})
		if err != nil {
			t.Fatal(err)
		}
		open[c.Dir] = db
		t.Cleanup(func() {
			if open[c.Dir] == db {
				db.Close()
			}
		})
		l, err := sqlite.Open(t.Context(), db, sqlite.Config{
			Limits: c.Limits, Clock: clock.Of(c.Now),
			Emit: func(_ *disk.Tx, effects []ledger.Effect) error { return c.Emit(effects) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}
