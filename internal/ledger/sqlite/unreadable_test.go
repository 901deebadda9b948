package sqlite_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

// TestUnreadableRows: rows that cannot be read, such as of ids that an earlier version took, are
// set aside and told of, for as long as what is settled is kept; all else goes on, also after the next start.
func TestUnreadableRows(t *testing.T) {
	db := openDisk(t)
	config := sqlite.Config{Limits: limits(0), Instance: "i", Clock: clock.Of(func() time.Time { return start })}
	l := openLedger(t, db, config)
	for id := range int64(4) {
		if _, err := l.Apply(t.Context(), seen(id+1, "queued")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Apply(t.Context(), seen(4, "completed")); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(tx *disk.Tx) error {
		for _, break_ := range []string{
			`UPDATE ledger_jobs SET body = replace(body, 'acme/web/1/1', 'acme/web/-1/4611686018427387904') WHERE key = 'acme/web/1/1'`,
			`UPDATE ledger_runners SET body = 'half a row {' WHERE job = 'acme/web/2/1'`,
			`UPDATE ledger_jobs SET body = '[]' WHERE key = 'acme/web/4/1'`,
		} {
			if n, err := tx.Exec(break_); err != nil || n != 1 {
				t.Fatal(n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	beside := sqlite.NewReader(db)
	if state, err := beside.Snapshot(t.Context()); err != nil || len(state.Unreadable()) != 2 {
		t.Errorf("beside: %v, %v: want the two open rows told of", state, err)
	}
	for range 2 { // the second time they are aside already
		l = openLedger(t, db, config)
		state, err := l.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		aside := state.Unreadable()
		if len(aside) != 2 || aside[0].Row != "acme/web/1/1" || !strings.Contains(aside[0].Reason, "want owner/name/id/attempt") || aside[1].Row != "i-small-2-1-1" {
			t.Errorf("set aside: %+v: want the job and the runner, and why", aside)
		}
		if _, known := state.Job(ledger.NewJobKey("acme/web", 3, 1)); !known {
			t.Error("a sound job is gone")
		}
	}
	if _, err := l.Jobs(t.Context(), ledger.JobQuery{Key: ledger.NewJobKey("acme/web", 4, 1)}); err == nil || !strings.Contains(err.Error(), "acme/web/4/1") {
		t.Errorf("a settled job that cannot be read: %v: want an error that names it", err)
	}
	if _, err := l.Apply(t.Context(), seen(4, "completed")); err != nil {
		t.Fatal(err)
	}
	jobs, err := l.Jobs(t.Context(), ledger.JobQuery{Limit: 10})
	if err != nil || len(jobs) != 3 {
		t.Errorf("%d jobs, %v: want those that can be read, and job 4 as it was told again", len(jobs), err)
	}
	if n := countRows(t, db, "ledger_unreadable"); n != 3 {
		t.Errorf("%d rows aside: want 3", n)
	}
	config.Clock = clock.Of(func() time.Time { return start.Add(ledger.DefaultKeep + time.Hour) })
	openLedger(t, db, config)
	if n := countRows(t, db, "ledger_unreadable"); n != 0 {
		t.Errorf("%d rows aside after %v: want none", n, ledger.DefaultKeep)
	}
}
