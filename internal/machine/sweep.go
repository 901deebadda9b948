package machine

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// How often the machine looks for what was missed. The first look is at once.
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

// sweepJobs holds the forge's own list of jobs against the ledger's.
func (m *Machine) sweepJobs(ctx context.Context) error {
	return m.every(ctx, m.joins.Forge.Pace().Jobs, "comparing jobs with "+m.joins.Forge.Name(), m.joins.CompareJobs)
}

// sweepContainers removes containers that no runner has.
func (m *Machine) sweepContainers(ctx context.Context) error {
	return m.every(ctx, containersEvery, "removing containers that no runner has", m.fleet.RemoveStrays)
}

// sweepDeliveries asks for deliveries again that failed.
func (m *Machine) sweepDeliveries(ctx context.Context) error {
	return m.every(ctx, deliveriesEvery, "looking for failed deliveries", func(ctx context.Context) error {
		return m.joins.Redeliver(ctx, deliveriesBack)
	})
}

// sweepRegistrations removes registrations that runners have left.
func (m *Machine) sweepRegistrations(ctx context.Context) error {
	since := time.Now().Add(-pipeline.RegistrationsBack)
	return m.every(ctx, registrationsEvery, "looking for registrations that are left", func(ctx context.Context) error {
		next := time.Now().Add(-4 * registrationsEvery) // what is not removed now is looked at again
		if err := m.joins.RemoveRegistrations(ctx, since); err != nil {
			return err
		}
		since = next
		return nil
	})
}

// every calls f now and then each period until ctx ends. What goes wrong is said
// and tried again the next time.
func (m *Machine) every(ctx context.Context, period time.Duration, what string, f func(context.Context) error) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	m.vitals.turn(what, period) // it has begun
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			m.config.Log.Warn(what, "err", err)
		}
		m.vitals.turn(what, period)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
