package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// script is a job's life in which every kind of write occurs; name is what its runner is
// called, once that is known.
func script(name ledger.RunnerName) []ledger.Input {
	running, done := seen(1, event.ActionInProgress), seen(1, event.ActionCompleted)
	running.Job.RunnerName, done.Job.RunnerName = string(name), string(name)
	return []ledger.Input{
		seen(1, event.ActionQueued),
		ledger.Starting{Runner: name}, ledger.Started{Runner: name}, ledger.Claim{Runner: name},
		ledger.PutOff{Runner: name, Granted: at, After: time.Second},
		ledger.Registered{Runner: name, GitHubID: 7}, ledger.Idle{Runner: name}, ledger.Busy{Runner: name},
		running, done, ledger.Gone{Runner: name},
	}
}

// testCommit fails the commit of each step in both ways, gives the input again, and wants
// the end to be as if nothing had happened.
func testCommit(t *testing.T, open Open) {
	faults := map[string]func(commit func() error) error{
		"not stored":                 func(func() error) error { return errors.New("fault") },
		"stored but reported failed": func(commit func() error) error { return errors.Join(commit(), errors.New("fault")) },
	}
	want := life(t, open, -1, nil)
	for name, fault := range faults {
		for step := range len(script("")) {
			t.Run(fmt.Sprintf("%s/%d", name, step), func(t *testing.T) {
				if diff := cmp.Diff(want, life(t, open, step, fault)); diff != "" {
					t.Errorf("what is kept after each step (-without +with fault):\n%s", diff)
				}
			})
		}
	}
}

// A moment is what a store keeps of one job and runner.
type moment struct {
	Job    ledger.Job
	Runner ledger.Runner
}

// life goes through script, with a fault at one step, and returns what is kept after
// each. The runner's name is left out, because another ledger gives another.
func life(t *testing.T, open Open, step int, fault func(func() error) error) (moments []moment) {
	t.Helper()
	var emitted []ledger.Effect
	c := config(t, &emitted)
	failing := false
	c.Commit = func(commit func() error) error {
		if failing {
			return fault(commit)
		}
		return commit()
	}
	s := open(t, c)
	var name ledger.RunnerName
	for i := range script("") {
		in := script(name)[i]
		if i == step {
			failing = true
			if _, err := s.Apply(t.Context(), in); err == nil {
				t.Fatalf("%#v: no error from a commit that failed", in)
			}
			failing = false
		}
		apply(t, s, in)
		runners, err := s.Runners(t.Context(), ledger.RunnerQuery{})
		if err != nil || len(runners) != 1 {
			t.Fatalf("after %#v: runners %v, %v: want one", in, runners, err)
		}
		name = runners[0].Name
		moments = append(moments, nameless(job(t, s, 1), runners[0]))
	}
	if !slices.ContainsFunc(emitted, func(e ledger.Effect) bool {
		want, ok := e.(ledger.WantRunner)
		return ok && want.Runner == name
	}) {
		t.Errorf("effects: %v: want runner %s wanted", emitted, name)
	}
	s = open(t, c)
	return append(moments, nameless(job(t, s, 1), runner(t, s, name)))
}

func nameless(j ledger.Job, r ledger.Runner) moment {
	j.RunnerName, j.History, r.Name, r.History = "", nil, "", nil
	return moment{j, r}
}
