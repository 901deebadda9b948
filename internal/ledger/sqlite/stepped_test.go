package sqlite_test

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

// TestClockSteps: a wall clock that is set, while the ledger is open or while it is not, ends no job and no
// runner, and holds nothing up; time that passes does.
func TestClockSteps(t *testing.T) {
	var wall, steady time.Duration
	boot := "a boot"
	db, l := openDisk(t), limits(0)
	l.Pools[0].TotalLimit = time.Hour
	var s *sqlite.Ledger
	open := func() {
		s = openLedger(t, db, sqlite.Config{Limits: l, Instance: "i", Clock: clock.Clock{
			Boot: boot, Steady: func() time.Duration { return steady }, Now: func() time.Time { return start.Add(wall) },
		}})
	}
	apply := func(in ledger.Input) {
		t.Helper()
		if _, err := s.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(d time.Duration) { wall, steady = wall+d, steady+d }
	stands := func(want ledger.JobState, leaving string) {
		t.Helper()
		jobs, err := s.Jobs(t.Context(), ledger.JobQuery{Key: ledger.NewJobKey("acme/web", 2, 1)})
		if err != nil || jobs[0].State != want {
			t.Errorf("job 2 is %s, %v: want %s", jobs[0].State, err, want)
		}
		runners, err := s.Runners(t.Context(), ledger.RunnerQuery{Name: "i-small-1-1-1"})
		if err != nil || runners[0].Leaving != leaving {
			t.Errorf("runner 1 is leaving for %q, %v: want %q", runners[0].Leaving, err, leaving)
		}
	}
	open()
	apply(seen(1, "queued"))
	apply(seen(2, "queued"))
	running := seen(1, "in_progress")
	running.Job.RunnerName = "i-small-1-1-1"
	for _, in := range []ledger.Input{
		ledger.Starting{Runner: "i-small-1-1-1"}, ledger.Started{Runner: "i-small-1-1-1"}, ledger.Claim{Runner: "i-small-1-1-1"}, running,
		ledger.Gone{Runner: "i-small-2-1-1", Reason: "not started"}, // the next runner has to wait a second
	} {
		apply(in)
	}
	for _, by := range []time.Duration{30 * time.Hour, -30 * time.Hour, -3 * time.Hour} {
		wall += by
		apply(ledger.Tick{})
		stands(ledger.JobQueued, "")
	}
	pass(time.Second)
	apply(ledger.Tick{})
	if _, err := s.Runners(t.Context(), ledger.RunnerQuery{Name: "i-small-2-1-2"}); err != nil {
		t.Errorf("a clock that was set back holds up the next runner: %v", err)
	}
	wall += 50 * time.Hour
	open() // it was set while no process ran
	apply(ledger.Tick{})
	stands(ledger.JobQueued, "")

	pass(58 * time.Minute)
	apply(ledger.Tick{})
	stands(ledger.JobQueued, "")
	pass(4 * time.Minute)
	apply(ledger.Tick{})
	stands(ledger.JobQueued, "its job has run for more than 1h1m0s")
}
