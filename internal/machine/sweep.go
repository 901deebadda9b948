package machine

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Intervals of the sweeps. Each begins at once.
const (
	tickEvery          = time.Second
	deliveriesEvery    = time.Minute
	containersEvery    = time.Minute
	deliveriesBack     = 3 * 24 * time.Hour // GitHub redelivers no older ones
	registrationsEvery = 5 * time.Minute
)

// tick tells the ledger that time passes.
func (m *Machine) tick(ctx context.Context) error {
	return m.every(ctx, tickEvery, "time passing", func(ctx context.Context) error {
		_, err := m.ledger.Apply(ctx, ledger.Tick{})
		return err
	})
}

// sweepJobs compares the forge's own list of jobs with the ledger's.
func (m *Machine) sweepJobs(ctx context.Context) error {
	return m.every(ctx, m.pipeline.Forge.Pace().Jobs, "comparing jobs with "+m.pipeline.Forge.Name(), m.pipeline.CompareJobs)
}

// sweepContainers removes containers without a runner.
func (m *Machine) sweepContainers(ctx context.Context) error {
	return m.every(ctx, containersEvery, "removing containers that no runner has", m.fleet.RemoveStrays)
}

// sweepDeliveries requests failed deliveries again.
func (m *Machine) sweepDeliveries(ctx context.Context) error {
	return m.every(ctx, deliveriesEvery, "looking for failed deliveries", func(ctx context.Context) error {
		return m.pipeline.Redeliver(ctx, deliveriesBack)
	})
}

// sweepRegistrations removes orphaned registrations.
func (m *Machine) sweepRegistrations(ctx context.Context) error {
	since := time.Now().Add(-pipeline.RegistrationsBack)
	return m.every(ctx, registrationsEvery, "looking for registrations that are left", func(ctx context.Context) error {
		next := time.Now().Add(-4 * registrationsEvery) // overlaps, for those that could not be removed yet
		if err := m.pipeline.RemoveRegistrations(ctx, since); err != nil {
			return err
		}
		since = next
		return nil
	})
}

// every calls f at once and then every period until ctx ends. Errors are logged: the next call
// tries again.
func (m *Machine) every(ctx context.Context, period time.Duration, what string, f func(context.Context) error) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	m.vitals.beat(what, period) // the loop has begun
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			m.config.Log.Warn(what, "err", err)
		}
		m.vitals.beat(what, period)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
