package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// A Quarantine has the deliveries that the webhook's function could not route: a rule of
// the stack has put them into a queue. A delivery that came twice is there twice, and is taken for one.
type Quarantine struct {
	queue queue
	bus   *eventbus.Bus
	route func(event.Event) (event.Event, error)
}

// NewQuarantine returns that in queue, a URL, of the bus. route completes an event that is released,
// or says what it lacks.
func NewQuarantine(c aws.Config, url string, bus *eventbus.Bus, route func(event.Event) (event.Event, error)) *Quarantine {
	return &Quarantine{queue{"quarantine", url, sqs.NewFromConfig(c)}, bus, route}
}

// maxCounted is how many messages are looked at to count deliveries.
const maxCounted = 200

// Count returns how many deliveries there are, one that came twice for one; where there are many
// it is about how many messages.
func (q *Quarantine) Count(ctx context.Context) (int, error) {
	if q.queue.url == "" {
		return 0, nil
	}
	name := types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.queue.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.queue.url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return 0, q.queue.fault(err)
	}
	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil || n == 0 || n > maxCounted {
		return n, err
	}
	all, err := q.queue.look(ctx)
	ids := map[string]bool{}
	for _, m := range all {
		one, _ := quarantinedOf(m)
		ids[one.Event.ID] = true
	}
	return len(ids), err
}

// Quarantined returns the deliveries that pass f, the newest first, limit at most.
func (q *Quarantine) Quarantined(ctx context.Context, f eventlog.QuarantineFilter, limit int) (list []eventlog.Quarantined, err error) {
	all, err := q.queue.look(ctx)
	for _, m := range all {
		if one, _ := quarantinedOf(m); held(f, one) && !slices.ContainsFunc(list, func(l eventlog.Quarantined) bool { return l.Event.ID == one.Event.ID }) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b eventlog.Quarantined) int { return b.At.Compare(a.At) })
	return list[:min(len(list), limit)], err
}

// Release routes the events of the deliveries that pass f again, and puts them on the bus. One
// that still lacks something stays, with the reason it had. After an error, calling again does the rest.
func (q *Quarantine) Release(ctx context.Context, f eventlog.QuarantineFilter) (eventlog.Release, error) {
	done, lacking := map[string]bool{}, map[string]bool{} // by ids
	_, err := q.queue.take(ctx, func(m types.Message) (bool, error) {
		one, fault := quarantinedOf(m)
		id := one.Event.ID
		if !held(f, one) || done[id] {
			return done[id], nil
		}
		var routed event.Event
		if fault == nil {
			routed, fault = q.route(one.Event)
		}
		if fault != nil {
			lacking[id] = true
			return false, nil
		}
		if err := q.bus.Put(ctx, routed); err != nil {
			return false, fmt.Errorf("releasing %q: %w", id, err)
		}
		done[id] = true
		return true, nil
	})
	return eventlog.Release{Released: len(done), Held: len(lacking)}, err
}

// Drop forgets the deliveries that pass f, and returns how many.
func (q *Quarantine) Drop(ctx context.Context, f eventlog.QuarantineFilter) (int, error) {
	dropped := map[string]bool{}
	_, err := q.queue.take(ctx, func(m types.Message) (bool, error) {
		one, _ := quarantinedOf(m)
		if held(f, one) {
			dropped[one.Event.ID] = true
		}
		return held(f, one), nil
	})
	return len(dropped), err
}

func held(f eventlog.QuarantineFilter, q eventlog.Quarantined) bool {
	return f.Events == nil || slices.Contains(f.Events, q.Event.ID)
}

// quarantinedOf reads a message. One that is not what the webhook puts there is shown with what
// it is, under the message's own id.
func quarantinedOf(m types.Message) (q eventlog.Quarantined, err error) {
	var told event.Event
	var detail contract.Quarantined
	if err = json.Unmarshal([]byte(aws.ToString(m.Body)), &told); err == nil {
		err = json.Unmarshal(told.Detail, &detail)
	}
	if err == nil && detail.Event.ID == "" {
		err = errors.New("no event: want one that was put in quarantine")
	}
	if q = (eventlog.Quarantined{Event: detail.Event, At: sent(m), Reason: detail.Reason}); err != nil {
		q.Event.ID, q.Reason = aws.ToString(m.MessageId), err.Error()
	}
	return q, err
}
