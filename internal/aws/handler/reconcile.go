package handler

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// young is how long the ledger and ECS may disagree about a task: each learns about it by its own
// route.
const young = 2 * time.Minute

// compareTasks compares the cluster's tasks with the live runners: a task that no runner needs is
// stopped, and a runner whose task is gone ends.
func (s *Sweep) compareTasks(ctx context.Context) error {
	asOf := s.Now()
	tasks, err := s.Tasks.All(ctx)
	if err != nil {
		return err
	}
	state, err := s.Pipeline.Ledger.Snapshot(ctx) // after the list, so that it has the runners of all listed tasks
	if err != nil {
		return err
	}
	var faults error
	there := map[string]bool{}             // tasks
	coming := map[ledger.RunnerName]bool{} // runners that a task represents
	for _, task := range tasks {
		there[task.ID] = true
		coming[task.Runner] = true
		if !needed(state, task) && asOf.Sub(task.Created) > young {
			s.Log.Info("stopping a task that no runner needs", "task", task.ID, "runner", task.Runner)
			faults = errors.Join(faults, s.Tasks.Stop(ctx, task.ID, "no runner of the ledger needs it"))
		}
	}
	for r := range state.Runners() {
		if lost(r, asOf, there, coming) {
			_, err := s.Pipeline.Ledger.Apply(ctx, ledger.Gone{Runner: r.Name, Container: r.Container, Reason: "its task is gone", Outside: true})
			faults = errors.Join(faults, err)
		}
	}
	return faults
}

// needed reports whether the runner of task may still need it: it does unless it is gone or bound
// to another task.
func needed(state *ledger.State, task Task) bool {
	r, ok := state.Runner(task.Runner)
	return ok && r.Live() && (r.Container == "" || r.Container == task.ID)
}

// lost reports whether r had a task well before asOf that did not exist then.
func lost(r ledger.Runner, asOf time.Time, there map[string]bool, coming map[ledger.RunnerName]bool) bool {
	if !r.Live() || asOf.Sub(r.Since) <= young {
		return false
	}
	if r.Container != "" {
		return !there[r.Container]
	}
	return r.State == ledger.RunnerStarting && !coming[r.Name]
}
