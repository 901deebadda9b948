package ledgertest

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// testRenamed: a late report on a settled job is about that job, also if its repository was renamed since. Another job with
// a number that ends alike is another.
func testRenamed(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	queue(t, s, 1)
	apply(t, s, seen(1, event.ActionCompleted))
	for _, action := range []string{event.ActionQueued, event.ActionInProgress, event.ActionCompleted} {
		late := seen(1, action)
		late.Job.Repository = "Acme/Site"
		result := apply(t, s, late)
		if len(result.Effects) > 0 {
			t.Errorf("effects of a late report: %v, want none", result.Effects)
		}
	}
	if jobs := allJobs(t, s); len(jobs) != 1 || jobs[0].Key != key(1) || jobs[0].State != ledger.JobCompleted {
		t.Errorf("jobs %v, want the one that completed", jobs)
	}
	other := seen(11, event.ActionQueued)
	other.Job.Repository = "Acme/Site"
	apply(t, s, other)
	if jobs := allJobs(t, s); len(jobs) != 2 {
		t.Errorf("jobs %v, want the two", jobs)
	}
}

func allJobs(t *testing.T, s ledger.Store) []ledger.Job {
	t.Helper()
	jobs, err := s.Jobs(t.Context(), ledger.JobQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}
