package machine

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestOldestWaiting counts queued jobs only.
func TestOldestWaiting(t *testing.T) {
	now := time.Now()
	state := ledger.NewState("x", ledger.Limits{})
	for i, j := range []ledger.Job{
		{State: ledger.JobQueued, Queued: now.Add(-time.Minute)}, {State: ledger.JobRunning, Queued: now.Add(-time.Hour)},
		{State: ledger.JobQueued, Queued: now.Add(-90 * time.Second)}, {State: ledger.JobWaiting},
	} {
		j.Key.ID = int64(i + 1)
		state.Load([]ledger.Job{j}, nil)
	}
	if got := oldestWaiting(figures{now: now, state: state}); len(got) != 1 || got[0].value != 90 {
		t.Errorf("oldest waiting %v, want 90 s", got)
	}
}

// TestAlertRules checks that docs/operate.md alerts on what there is.
func TestAlertRules(t *testing.T) {
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`mayfly_[a-z_]*[a-z]`).FindAllString(string(page), -1)
	for _, name := range names {
		if !slices.ContainsFunc(metrics, func(m metric) bool { return m.name == name }) {
			t.Errorf("docs/operate.md alerts on %s, which is no metric", name)
		}
	}
	if len(names) < 5 {
		t.Errorf("%d metrics in docs/operate.md; want more, or this tests nothing", len(names))
	}
}
