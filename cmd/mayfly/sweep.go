package main

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// How often the machine looks for what was missed. The first look is at once.
const (
	tickEvery       = time.Second
	deliveriesEvery = time.Minute
	jobsEvery       = pipeline.SweepEvery
	deliveriesBack  = 3 * 24 * time.Hour // GitHub redelivers no older ones
	straysEvery     = 5 * time.Minute
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
	return m.every(ctx, jobsEvery, "comparing jobs with GitHub", m.joins.CompareJobs)
}

// sweepDeliveries asks for deliveries again that failed.
func (m *machine) sweepDeliveries(ctx context.Context) error {
	since := time.Now().Add(-deliveriesBack)
	return m.every(ctx, deliveriesEvery, "looking for failed deliveries", func(ctx context.Context) error {
		next := time.Now().Add(-2 * deliveriesEvery) // those under way now are looked at again
		if err := m.joins.Redeliver(ctx, since); err != nil {
			return err
		}
		since = next
		return nil
	})
}

// sweepStrays removes registrations that runners have left.
func (m *machine) sweepStrays(ctx context.Context) error {
	since := time.Now().Add(-pipeline.StraysBack)
	return m.every(ctx, straysEvery, "looking for registrations that are left", func(ctx context.Context) error {
		next := time.Now().Add(-4 * straysEvery) // what is not removed now is looked at again
		if err := m.joins.RemoveStrays(ctx, since); err != nil {
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
