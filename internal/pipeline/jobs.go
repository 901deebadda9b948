package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Observe reports e, a workflow_job event, to the ledger.
func (p *Pipeline) Observe(ctx context.Context, e event.Event) (ledger.Result, error) {
	job, err := event.ParseWorkflowJob(e.Detail)
	if err != nil {
		return ledger.Result{}, fmt.Errorf("%w: %w", ErrNotProcessable, err)
	}
	return p.Ledger.Apply(ctx, ledger.JobSeen{Job: job, At: e.Time})
}

// Check asks GitHub for the state of the job of q, and reports it to the ledger.
func (p *Pipeline) Check(ctx context.Context, q ledger.CheckJob) error {
	// The time before the question: the job may change while GitHub answers.
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

// seen reports GitHub's answer about a job, asked for at a time, to the ledger. Scope and pool,
// which a delivery has and an answer lacks, are filled in from what is known.
func (p *Pipeline) seen(ctx context.Context, job event.WorkflowJob, known ledger.Scope, at time.Time) error {
	job.Organization = cmp.Or(known.Organization, job.Organization)
	job.Enterprise = cmp.Or(known.Enterprise, job.Enterprise)
	job.Installation = cmp.Or(known.Installation, job.Installation)
	if pool, ok := p.Limits().Pools.Route(job); ok {
		job.Routing.Pool = pool.Name
	}
	_, err := p.Ledger.Apply(ctx, ledger.JobSeen{Job: job, At: at, Asked: true})
	return err
}
