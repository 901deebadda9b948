// Package target is what rules lead to outside of Mayfly: an HTTP endpoint or a
// command. Both get an event once at least, and say by their answer whether another
// attempt makes sense.
package target

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// An Input says what a target sees of an event: the whole envelope, or what a
// transformer makes of it.
type Input struct {
	Rule        string                 // the name of the rule
	Transformer *transform.Transformer // nil for the envelope
}

// payload returns the JSON for a target. That an event cannot be transformed is
// permanent: it would not be another one the next time.
func (in Input) payload(e event.Event) ([]byte, error) {
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		return nil, bus.Permanent(err)
	}
	if in.Transformer == nil {
		return envelope, nil
	}
	// A target does not learn when the bus took an event. For a delivery from GitHub
	// the time of the event is just that.
	out, err := in.Transformer.Apply(transform.Input{Event: envelope, Rule: in.Rule, Ingested: e.Time})
	if err != nil {
		return nil, bus.Permanent(err)
	}
	return out, nil
}

// withPayload makes a target of send, which gets the JSON.
func withPayload(in Input, send func(ctx context.Context, e event.Event, payload []byte) error) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		payload, err := in.payload(e)
		if err != nil {
			return err
		}
		return send(ctx, e, payload)
	}
}
