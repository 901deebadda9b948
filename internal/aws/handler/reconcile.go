package handler

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// young is how long ledger and ECS may see different things of one task: each hears of it
// on a way of its own.
const young = 2 * time.Minute

// compareTasks holds the tasks of the cluster against the live runners: a task that no
// runner needs is stopped, and a runner whose task is gone is told.
func (s *Sweep) compareTasks(ctx context.Context) error {
	asOf := s.Now()
	tasks, err := s.Tasks.All(ctx)
	if err != nil {
		return err
	}
	state, err := s.Pipeline.Ledger.Snapshot(ctx) // after the list, so that what was listed is in it
	if err != nil {
		return err
	}
	var faults error
	there := map[string]bool{}             // tasks
	coming := map[ledger.RunnerName]bool{} // runners that a task stands for
	for _, task := range tasks {
		there[task.ID] = true
		name, needed, err := s.needed(ctx, state, task)
		coming[name] = true
		if err == nil && !needed && asOf.Sub(task.Created) > young {
			s.Log.Info("stopping a task that no runner needs", "task", task.ID, "job", task.Job, "runner", name)
			err = s.Tasks.Stop(ctx, task.ID, "no runner of the ledger needs it")
		}
		faults = errors.Join(faults, err)
	}
	for r := range state.Runners() {
		if lost(r, asOf, there, coming) {
			_, err := s.Pipeline.Ledger.Apply(ctx, ledger.Gone{Runner: r.Name, Container: r.Container, Reason: "its task is gone", Outside: true})
			faults = errors.Join(faults, err)
		}
	}
	return faults
}

// needed returns which runner task stands for, and whether a runner may still need it: its
// own does, unless it is bound to another task; and where there is none yet, its job may
// get one.
func (s *Sweep) needed(ctx context.Context, state *ledger.State, task Task) (ledger.RunnerName, bool, error) {
	name, err := s.runnerOf(ctx, state, task)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // it is asked after by the claim
		return "", true, nil
	case err != nil:
		return "", true, err
	case name == "":
		_, open := state.Job(task.Job)
		return "", open, nil
	}
	r, ok := state.Runner(name)
	return name, ok && r.Live() && (r.Container == "" || r.Container == task.ID), nil
}

// runnerOf is standsFor, which asks the ledger, only where state does not have the answer.
func (s *Sweep) runnerOf(ctx context.Context, state *ledger.State, task Task) (ledger.RunnerName, error) {
	if j, open := state.Job(task.Job); open && task.Runner == "" {
		return j.First, nil
	}
	return standsFor(ctx, s.Pipeline.Ledger, task, s.Now())
}

// lost reports whether r had a task well before asOf that was not there then.
func lost(r ledger.Runner, asOf time.Time, there map[string]bool, coming map[ledger.RunnerName]bool) bool {
	if !r.Live() || asOf.Sub(r.Since) <= young {
		return false
	}
	if r.Container != "" {
		return !there[r.Container]
	}
	return r.State == ledger.RunnerStarting && !coming[r.Name]
}
