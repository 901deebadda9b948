package main

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// How often the machine looks for what was missed. The first look is at once.
const (
	tickEvery       = time.Second
	deliveriesEvery = time.Minute
	jobsEvery       = 5 * time.Minute
	deliveriesBack  = 3 * 24 * time.Hour // GitHub redelivers no older ones
)

// tick tells the ledger that time passes.
func (m *machine) tick(ctx context.Context) error {
	return m.every(ctx, tickEvery, "time passing", func(ctx context.Context) error {
		_, err := m.ledger.Apply(ctx, ledger.Tick{})
		return err
	})
}

// sweepJobs holds GitHub's own list of jobs against the ledger's.
func (m *machine) sweepJobs(ctx context.Context) error {
	return m.every(ctx, jobsEvery, "comparing jobs with GitHub", m.compareJobs)
}

// sweepDeliveries asks for deliveries again that failed.
func (m *machine) sweepDeliveries(ctx context.Context) error {
	if m.HookAt == "" {
		return nil
	}
	since := time.Now().Add(-deliveriesBack)
	return m.every(ctx, deliveriesEvery, "looking for failed deliveries", func(ctx context.Context) error {
		next := time.Now().Add(-2 * deliveriesEvery) // those under way now are looked at again
		if err := m.redeliver(ctx, since); err != nil {
			return err
		}
		since = next
		return nil
	})
}

// every calls f now and then each period until ctx ends. What goes wrong is said
// and tried again the next time.
func (m *machine) every(ctx context.Context, period time.Duration, what string, f func(context.Context) error) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn(what, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// redeliver asks GitHub for every delivery again that failed since then. A GUID
// that arrived all the same is known to the bus and does nothing twice.
func (m *machine) redeliver(ctx context.Context, since time.Time) error {
	at, err := hookScope(m.HookAt)
	if err != nil {
		return err
	}
	hook, err := m.forge.Webhook(ctx, at, m.HookURL)
	if err != nil {
		return err
	}
	failed, err := m.forge.FailedDeliveries(ctx, at, hook.ID, since)
	if err != nil {
		return err
	}
	for _, d := range failed {
		if err := m.forge.Redeliver(ctx, at, hook.ID, d.ID); err != nil {
			return err
		}
		m.Log.Info("asked for a failed delivery again", "delivery", d.GUID)
	}
	return nil
}

// compareJobs tells the ledger of the jobs that GitHub has queued in the
// repositories of its own open jobs: where one delivery came from, others may
// have been lost.
func (m *machine) compareJobs(ctx context.Context) error {
	state, err := m.ledger.Snapshot(ctx)
	if err != nil {
		return err
	}
	scopes := map[string]ledger.Scope{}
	for j := range state.Jobs() {
		scopes[j.Scope.Repository] = j.Scope
	}
	var faults error
	for repository, scope := range scopes {
		jobs, err := m.forge.QueuedJobs(ctx, repository)
		if err != nil {
			faults = errors.Join(faults, err)
			continue
		}
		for _, job := range jobs {
			if err := m.seen(ctx, job.WorkflowJob, scope); err != nil {
				return err
			}
		}
	}
	return faults
}
