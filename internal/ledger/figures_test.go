package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestFigures counts by pool and state; what is over, or fits no pool, does not count.
func TestFigures(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	state := ledger.NewState("x", ledger.Limits{Pools: pool.Set{{Name: "small", Max: 4}, {Name: "large"}}})
	for i, j := range []ledger.Job{
		{State: ledger.JobQueued, Pool: "small", Queued: now.Add(-time.Minute)},
		{State: ledger.JobQueued, Pool: "small", Queued: now.Add(-90 * time.Second)},
		{State: ledger.JobRunning, Pool: "old", Queued: now.Add(-time.Hour)},
		{State: ledger.JobWaiting, Pool: "small"},
		{State: ledger.JobUnroutable},
		{State: ledger.JobCompleted, Pool: "small"},
	} {
		j.Key.ID = int64(i + 1)
		state.Load([]ledger.Job{j}, nil)
	}
	state.Load(nil, []ledger.Runner{
		{Name: "a", Pool: "small", State: ledger.RunnerIdle}, {Name: "b", Pool: "small", State: ledger.RunnerGone},
		{Name: "c", Pool: "former", State: ledger.RunnerBusy},
	})
	state.SetAside(ledger.Unreadable{Row: "acme/web/9/1"})
	got := state.Figures()
	want := ledger.Figures{
		Pools: []ledger.PoolFigures{
			{Pool: "small", Max: 4, Jobs: map[ledger.JobState]int{ledger.JobQueued: 2, ledger.JobWaiting: 1}, Runners: map[ledger.RunnerState]int{ledger.RunnerIdle: 1}},
			{Pool: "large", Jobs: map[ledger.JobState]int{}, Runners: map[ledger.RunnerState]int{}},
			{Pool: "former", Jobs: map[ledger.JobState]int{}, Runners: map[ledger.RunnerState]int{ledger.RunnerBusy: 1}},
			{Pool: "old", Jobs: map[ledger.JobState]int{ledger.JobRunning: 1}, Runners: map[ledger.RunnerState]int{}},
		},
		OldestQueued: now.Add(-90 * time.Second), Unreadable: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if got.Jobs(ledger.JobQueued) != 2 || got.Runners() != 2 || got.Waited(now) != 90*time.Second {
		t.Errorf("%d queued, %d runners, waited %v: want 2, 2 and 1m30s", got.Jobs(ledger.JobQueued), got.Runners(), got.Waited(now))
	}
	if waited := ledger.NewState("x", ledger.Limits{}).Figures().Waited(now); waited != 0 {
		t.Errorf("waited %v without a queued job: want 0", waited)
	}
}
