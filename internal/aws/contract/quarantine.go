package contract

import (
	"encoding/json"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// TypeDeliveryQuarantined is the detail type of the event that a delivery lacks what
// routing needs; its source is "mayfly" and its detail a [Quarantined].
const TypeDeliveryQuarantined = "Delivery Quarantined"

// A Quarantined is an event that could not be routed, as it came, and what it lacks.
type Quarantined struct {
	Reason string      `json:"reason"`
	Event  event.Event `json:"event"`
}

// maxReason is how much of a reason goes over the bus, in bytes, because an event is bounded
// there and what a reason quotes is not.
const maxReason = 1000

// Enclose returns the event that q is told by, with the event in it byte for byte as it
// came: encoding/json would make it longer.
func (q Quarantined) Enclose() (event.Event, error) {
	reason, err := json.Marshal(q.Reason[:min(len(q.Reason), maxReason)])
	if err != nil {
		return event.Event{}, err
	}
	detail, err := q.Event.AppendEnvelope(slices.Concat([]byte(`{"reason":`), reason, []byte(`,"event":`)))
	return event.Event{
		ID: q.Event.ID, Source: event.SourceMayfly, DetailType: TypeDeliveryQuarantined,
		Time: q.Event.Time, Detail: append(detail, '}'),
	}, err
}
