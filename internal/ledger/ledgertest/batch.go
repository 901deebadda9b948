package ledgertest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// many are more inputs than one transaction of any store takes: jobs, each told of twice.
func many() (ins []ledger.Input) {
	for id := range int64(60) {
		ins = append(ins, seen(id+1, event.ActionQueued), seen(id+1, event.ActionQueued))
	}
	return append(ins, seen(1, event.ActionCompleted))
}

// testBatch: inputs given together come to the same as one after another.
func testBatch(t *testing.T, open Open) {
	var together, single []ledger.Effect
	s, plain := open(t, config(t, &together)), NewMemory(&Kept{}, config(t, &single))
	results, err := s.ApplyAll(t.Context(), many())
	if err != nil || len(results) != len(many()) {
		t.Fatalf("%d results of %d inputs, %v", len(results), len(many()), err)
	}
	for i, in := range many() {
		if want := apply(t, plain, in); want.Reason != results[i].Reason || len(want.Effects) != len(results[i].Effects) {
			t.Errorf("result %d is %q with %d effects: want %q with %d", i, results[i].Reason, len(results[i].Effects), want.Reason, len(want.Effects))
		}
	}
	for id := range int64(60) {
		if diff := cmp.Diff(nameless(job(t, plain, id+1), ledger.Runner{}), nameless(job(t, s, id+1), ledger.Runner{})); diff != "" {
			t.Errorf("job %d (-one by one +together):\n%s", id+1, diff)
		}
	}
	if len(together) != len(single) {
		t.Errorf("%d effects: want %d", len(together), len(single))
	}
	if none, err := s.ApplyAll(t.Context(), nil); len(none) > 0 || err != nil {
		t.Errorf("of no inputs: %v, %v", none, err)
	}
}

// testBatchFault fails one commit of a batch: the results are those of what is kept, and what is given
// again does no harm.
func testBatchFault(t *testing.T, open Open) {
	for fails := range 3 {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			var emitted []ledger.Effect
			c := config(t, &emitted)
			armed, commits := false, 0
			c.Commit = func(commit func() error) error {
				if !armed {
					return commit()
				}
				if commits++; commits == fails+1 {
					return errors.New("fault")
				}
				return commit()
			}
			s := open(t, c)
			armed = true
			results, err := s.ApplyAll(t.Context(), many())
			if err == nil && commits > fails || err != nil && len(results) == len(many()) {
				t.Fatalf("%d results, %v, after %d commits", len(results), err, commits)
			}
			armed = false
			known := map[int64]bool{}
			for _, in := range many()[:len(results)] {
				known[in.(ledger.JobSeen).Job.ID] = true
			}
			jobs, err := s.Jobs(t.Context(), ledger.JobQuery{Limit: 1000})
			if err != nil || len(jobs) != len(known) {
				t.Errorf("%d jobs are kept, %v: want the %d of the results", len(jobs), err, len(known))
			}
			if results, err := s.ApplyAll(t.Context(), many()); err != nil || len(results) != len(many()) {
				t.Errorf("given again: %d results, %v", len(results), err)
			}
			wanted := map[ledger.RunnerName]bool{}
			for _, e := range emitted {
				if want, ok := e.(ledger.WantRunner); ok {
					wanted[want.Runner] = true
				}
			}
			if len(wanted) != 60 {
				t.Errorf("%d runners wanted: want 60", len(wanted))
			}
		})
	}
}
