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

// needed returns which runner task represents, and whether that runner may still need it: it does unless it
// is gone or bound to another task. While the job has no runner, it may get one as long as it is open.
func (s *Sweep) needed(ctx context.Context, state *ledger.State, task Task) (ledger.RunnerName, bool, error) {
	if j, open := state.Job(task.Job); open && task.Runner == "" {
		// The state answers, so that a sweep does not query the ledger for each of its tasks. A later
		// answer could also name a runner that the state, read before, does not have.
		if j.First == "" {
			return "", true, nil
		}
		task.Runner = j.First
	}
	name, _, err := task.runner(ctx, s.Pipeline.Ledger, s.Now())
	switch {
	case errors.Is(err, ledger.ErrNotFound): // its claim asks GitHub for the job
		return "", true, nil
	case err != nil:
		return "", true, err
	case name == "":
		return "", false, nil
	}
	r, ok := state.Runner(name)
	return name, ok && r.Live() && (r.Container == "" || r.Container == task.ID), nil
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
