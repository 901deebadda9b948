package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Observe tells the ledger what GitHub says of a job in e, a workflow_job event.
func (p *Pipeline) Observe(ctx context.Context, e event.Event) (ledger.Result, error) {
	job, err := event.ParseWorkflowJob(e.Detail)
	if err != nil {
		return ledger.Result{}, fmt.Errorf("%w: %w", ErrUseless, err)
	}
	return p.Ledger.Apply(ctx, ledger.JobSeen{Job: job, At: e.Time})
}

// Check asks GitHub how the job of q stands, and tells the ledger.
func (p *Pipeline) Check(ctx context.Context, q ledger.CheckJob) error {
	at := p.Now()
	job, err := p.Forge.Job(ctx, q.Scope.Repository, q.Job.ID)
	switch {
	case errors.Is(err, github.ErrNotFound):
		_, err = p.Ledger.Apply(ctx, ledger.JobLost{Job: q.Job, Reason: "GitHub does not know it"})
		return err
	case err != nil:
		return err
	}
	return p.seen(ctx, job.WorkflowJob, q.Scope, at)
}

// seen tells the ledger of a job that GitHub was asked about at a time. What an answer lacks
// beside a delivery is filled in from what is known: scope and pool.
func (p *Pipeline) seen(ctx context.Context, job event.WorkflowJob, known ledger.Scope, at time.Time) error {
	job.Organization, job.Enterprise, job.Installation = known.Organization, known.Enterprise, known.Installation
	if pool, ok := p.Limits().Pools.Route(job); ok {
		job.Routing.Pool = pool.Name
	}
	_, err := p.Ledger.Apply(ctx, ledger.JobSeen{Job: job, At: at, Asked: true})
	return err
}

// CompareJobs tells the ledger of the jobs that GitHub has queued in the
// repositories of its own open jobs: where one delivery came from, others may
// have been lost.
func (p *Pipeline) CompareJobs(ctx context.Context) error {
	state, err := p.Ledger.Snapshot(ctx)
	if err != nil {
		return err
	}
	scopes := map[string]ledger.Scope{}
	for j := range state.Jobs() {
		scopes[j.Scope.Repository] = j.Scope
	}
	var faults error
	for _, repository := range slices.Sorted(maps.Keys(scopes)) {
		scope, at := scopes[repository], p.Now()
		jobs, err := p.Forge.QueuedJobs(ctx, repository)
		if err != nil {
			faults = errors.Join(faults, err)
			continue
		}
		for _, job := range jobs {
			if err := p.seen(ctx, job.WorkflowJob, scope, at); err != nil {
				return err
			}
		}
	}
	return faults
}

// underWay is how long a delivery may be under way: those of as long ago are always looked at again.
const underWay = 2 * time.Minute

// Redeliver asks GitHub for every delivery again that failed since then. A GUID
// that arrived all the same does nothing twice. Where it is not known whose webhook it
// is, there is nothing to ask.
func (p *Pipeline) Redeliver(ctx context.Context, since time.Time) error {
	if p.HookAt == "" {
		return nil
	}
	if latest := p.Now().Add(-underWay); since.After(latest) { // of a clock that was set back since
		since = latest
	}
	at, err := HookScope(p.HookAt)
	if err != nil {
		return err
	}
	hook, err := p.Forge.Webhook(ctx, at, p.HookURL)
	if err != nil {
		return err
	}
	failed, err := p.Forge.FailedDeliveries(ctx, at, hook.ID, since)
	if err != nil {
		return err
	}
	for _, d := range failed {
		if err := p.Forge.Redeliver(ctx, at, hook.ID, d.ID); err != nil {
			return err
		}
		p.Log.Info("asked for a failed delivery again", "delivery", d.GUID)
	}
	return nil
}
