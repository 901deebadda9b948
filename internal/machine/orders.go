package machine

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// Orders are what commands may ask of a machine.

// A PutAnswer counts published events.
type PutAnswer struct {
	Published int `json:"published"`
	Known     int `json:"known"` // ignored, because their ids were known
}

// put publishes events.
func (m *Machine) put(ctx context.Context, events []event.Event) (a PutAnswer, err error) {
	for _, e := range events {
		fresh, err := m.bus.Publish(ctx, e)
		switch {
		case err != nil:
			return a, fmt.Errorf("%d events were published, then %q: %w", a.Published, e.ID, err)
		case fresh:
			a.Published++
		default:
			a.Known++
		}
	}
	return a, nil
}

// release routes quarantined events again and publishes them.
func (m *Machine) release(ctx context.Context, f eventlog.QuarantineFilter) (eventlog.Release, error) {
	return m.bus.Release(ctx, f, func(e event.Event) (event.Event, error) { return RouteAgain(e, m.pools()) })
}

// RouteAgain routes a quarantined event, or returns what is missing.
func RouteAgain(e event.Event, pools pool.Set) (event.Event, error) {
	routed, err := webhook.Route(e, pools)
	return routed.Event, err
}

// startReplay begins a replay and returns its name.
func (m *Machine) startReplay(ctx context.Context, o eventlog.ReplayOrder) (string, error) {
	return o.Name, m.bus.Replay(ctx, o.Name, o.Selection)
}

// cancelReplay cancels a replay and returns its name.
func (m *Machine) cancelReplay(ctx context.Context, name string) (string, error) {
	return name, m.bus.CancelReplay(ctx, name)
}
