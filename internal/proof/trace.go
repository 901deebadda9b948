package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A trace is what is known of the way of one of the test's jobs.
type trace struct {
	Name string // in the workflow
	Pool string // that it is meant for

	job      event.WorkflowJob // as GitHub has it; zero before that has made it
	event    time.Time         // when its queued event was put on the bus
	kept     ledger.Job        // as the ledger has it; zero if it does not
	runner   ledger.Runner     // that runs it, or else the newest that was made for it
	foreign  bool              // GitHub names a runner that the ledger does not have
	identity string            // where it ran, by its own word
}

// Hops are the points on the way of a job after it was queued, in their order.
var Hops = []string{"event", "wanted", "starting", "claimed", "listening", "running", "done", "gone"}

// hops returns when t reached each of [Hops]; zero if it did not.
func (t *trace) hops() []time.Time {
	started, done := time.Time{}, time.Time{}
	if t.job.RunnerName != "" {
		started = t.job.Started
	}
	if t.completed() {
		done = t.job.Completed
	}
	return []time.Time{
		t.event, t.runner.Made, t.step(ledger.RunnerStarting), t.runner.Claimed,
		t.listening(), started, done, t.step(ledger.RunnerGone),
	}
}

// listening returns when the runner listened for jobs. One that GitHub gave a job did, also
// where the job's delivery came before its agent's word of that.
func (t *trace) listening() time.Time {
	if at := t.step(ledger.RunnerIdle); !at.IsZero() {
		return at
	}
	return t.step(ledger.RunnerBusy)
}

// step returns when the runner came into a state.
func (t *trace) step(state ledger.RunnerState) time.Time {
	i := slices.IndexFunc(t.runner.History, func(s ledger.Step) bool { return s.What == string(state) })
	if i < 0 {
		return time.Time{}
	}
	return t.runner.History[i].At
}

// standing is the last hop that t has reached.
func (t *trace) standing() string {
	at := "not made"
	if t.job.ID != 0 {
		at = t.job.Action
	}
	for i, reached := range t.hops() {
		if !reached.IsZero() {
			at = Hops[i]
		}
	}
	return at
}

// completed reports whether GitHub says that the job is over.
func (t *trace) completed() bool { return t.job.Action == event.ActionCompleted }

// gone reports whether nothing is left of the job's runner.
func (t *trace) gone() bool { return t.runner.Name != "" && !t.runner.Live() }

// standing says where all jobs are.
func (p *proof) standing() string {
	if p.run.ID == 0 {
		return "pushed; waiting for GitHub to make a run"
	}
	text := ""
	for _, t := range p.traces {
		if t.job.ID != 0 {
			text += fmt.Sprintf("%s %s, ", t.Name, t.standing())
		}
	}
	return text + fmt.Sprintf("%d of %d done", p.completed(), len(p.traces))
}

func (p *proof) completed() (n int) {
	for _, t := range p.traces {
		if t.completed() {
			n++
		}
	}
	return n
}

// over reports whether every job has ended and every runner has gone.
func (p *proof) over() bool {
	return !slices.ContainsFunc(p.traces, func(t *trace) bool { return !t.completed() || !t.gone() })
}

// look brings the traces up to date: from GitHub, the bus and the ledger.
func (p *proof) look(ctx context.Context) error {
	if err := p.lookAtRun(ctx); err != nil || p.run.ID == 0 {
		return err
	}
	jobs, err := p.Person.JobsOf(ctx, p.Repository, p.run.ID)
	if err != nil {
		return err
	}
	for _, t := range p.traces {
		if i := slices.IndexFunc(jobs, func(j event.WorkflowJob) bool { return j.Name == t.Name }); i >= 0 {
			t.job = jobs[i]
		}
	}
	if err := p.lookAtEvents(ctx); err != nil {
		return err
	}
	for _, t := range p.traces {
		if err := p.lookAtLedger(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// lookAtRun finds the run of the test workflow.
func (p *proof) lookAtRun(ctx context.Context) error {
	runs, err := p.Person.RunsOf(ctx, p.Repository, p.commit)
	for _, r := range runs {
		if r.Path == workflowPath {
			p.run = r
		}
	}
	return err
}

// lookAtEvents finds the queued events of the jobs.
func (p *proof) lookAtEvents(ctx context.Context) error {
	list, err := p.Events.Events(ctx, eventlog.Filter{
		Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Since: p.begun.Add(-time.Minute), Limit: 1000,
	})
	for _, s := range list {
		job, err := event.ParseWorkflowJob(s.Event.Detail)
		if err != nil || job.Action != event.ActionQueued {
			continue
		}
		for _, t := range p.traces {
			if t.job.ID != 0 && ledger.KeyOf(job) == ledger.KeyOf(t.job) {
				t.event = s.Published // the newest first, so that the oldest stays
			}
		}
	}
	return err
}

// lookAtLedger finds a job in the ledger, and its runner: the one that GitHub names, which
// may have been made for another job.
func (p *proof) lookAtLedger(ctx context.Context, t *trace) error {
	if t.job.ID == 0 {
		return nil
	}
	key := ledger.KeyOf(t.job)
	kept, err := p.Ledger.Jobs(ctx, ledger.JobQuery{Key: key})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	t.kept = kept[0]
	query := ledger.RunnerQuery{Job: key, Limit: 1}
	if t.job.RunnerName != "" {
		query = ledger.RunnerQuery{Name: ledger.RunnerName(t.job.RunnerName)}
	}
	runners, err := p.Ledger.Runners(ctx, query)
	if err == nil && len(runners) > 0 {
		t.runner = runners[0]
	}
	if t.foreign = errors.Is(err, ledger.ErrNotFound); t.foreign {
		return nil
	}
	return err
}
