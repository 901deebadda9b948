// Package target has the targets of rules outside of Mayfly: an HTTP endpoint or a command. Both
// get an event at least once, and their answer decides whether there is another attempt.
package target

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// An Input is what a target receives: the whole event, or the output of a transformer.
type Input struct {
	Rule        string                 // the name of the rule
	Transformer *transform.Transformer // nil for the whole event
}

// payload returns the JSON for a target. A failed transformation is a permanent error, because
// the event never changes.
func (in Input) payload(e event.Event) ([]byte, error) {
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		return nil, bus.Permanent(err)
	}
	if in.Transformer == nil {
		return envelope, nil
	}
	// Targets do not know when the bus accepted an event. For a delivery from GitHub the
	// event's time is that time.
	out, err := in.Transformer.Apply(transform.Input{Event: envelope, Rule: in.Rule, Ingested: e.Time})
	if err != nil {
		return nil, bus.Permanent(err)
	}
	return out, nil
}

// withPayload returns a target that calls send with the JSON.
func withPayload(in Input, send func(ctx context.Context, e event.Event, payload []byte) error) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		payload, err := in.payload(e)
		if err != nil {
			return err
		}
		return send(ctx, e, payload)
	}
}
