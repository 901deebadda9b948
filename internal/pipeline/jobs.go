package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Observe tells the ledger what GitHub says of jobs in workflow_job events, in one turn as far as its store
// can. errs[i] is the error of events[i]: of one that cannot be read, which keeps no other from being told, or of
// the ledger. It does all that the ledger finds to do for them.
func (p *Pipeline) Observe(ctx context.Context, events []event.Event) (errs []error) {
	errs = make([]error, len(events))
	var ins []ledger.Input
	var of []int // of which event
	for i, e := range events {
		job, err := event.ParseWorkflowJob(e.Detail)
		if err != nil {
			errs[i] = fmt.Errorf("%w: %w", ErrNotProcessable, err)
			continue
		}
		ins, of = append(ins, ledger.JobSeen{Job: job, At: e.Time}), append(of, i)
	}
	results, err := p.Ledger.ApplyAll(ctx, ins)
	if n := len(results); err == nil && n > 0 && results[n-1].More {
		err = p.Tick(ctx)
		results = results[:n-1] // what is left of the last one is done when it comes again
	}
	for _, i := range of[len(results):] {
		errs[i] = err
	}
	return errs
}

// Tick lets the ledger look at the time, and do all that it finds to do.
func (p *Pipeline) Tick(ctx context.Context) error {
	for more := true; more; {
		result, err := p.Ledger.Apply(ctx, ledger.Tick{})
		if err != nil {
			return err
		}
		more = result.More
	}
	return nil
}

// CheckCredential asks GitHub whether it accepts the credential. If it does, jobs that wait because it did not get their
// runners at once.
func (p *Pipeline) CheckCredential(ctx context.Context) error {
	if err := p.Forge.Check(ctx); err != nil {
		return err
	}
	_, err := p.Ledger.Apply(ctx, ledger.Authorized{})
	return err
}

// Check asks GitHub for the state of the job of q, and reports it to the ledger.
func (p *Pipeline) Check(ctx context.Context, q ledger.CheckJob) error {
	// The time before the question: the job may change while GitHub answers.
	at := p.Now()
	job, err := p.Forge.Job(ctx, q.Scope.Repository, q.Job.ID, q.Job.Attempt)
	switch {
	case errors.Is(err, forge.ErrNotFound):
		_, err = p.Ledger.Apply(ctx, ledger.JobLost{Job: q.Job, Reason: p.Forge.Name() + " does not know it"})
		return err
	case err != nil:
		return err
	}
	return p.seen(ctx, job, q.Scope, at)
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
