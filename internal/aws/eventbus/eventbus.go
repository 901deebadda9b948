// Package eventbus puts events on an EventBridge bus: what it takes is with AWS for
// good. It imports little, since a function that starts while GitHub waits has it.
package eventbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// Limits of PutEvents.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const (
	maxEntries = 10
	maxBytes   = 1 << 20 // of one call; an entry must have less
)

// MaxPayload is the largest payload of which an event can be made, with room for what
// is put around it.
const MaxPayload = maxBytes - 16<<10

// ErrTooLarge is of an event that no repetition puts on a bus.
var ErrTooLarge = errors.New("an event of 1 MB or more: AWS takes none")

// How an entry that was not taken is tried again, while GitHub waits its 10 s.
const (
	attempts     = 4
	attemptLimit = 3 * time.Second // so that one that hangs leaves time for others
	firstPause   = 100 * time.Millisecond
)

// A Bus is an EventBridge bus. It may be used by several goroutines at once.
type Bus struct {
	name   string
	client *eventbridge.Client
}

// New returns the bus called name.
func New(c aws.Config, name string) *Bus {
	return &Bus{name, eventbridge.NewFromConfig(c, func(o *eventbridge.Options) {
		o.Retryer = aws.NopRetryer{} // Put tries again, with the entries that need it
	})}
}

// Publish puts e on the bus; it is what a webhook.Handler publishes with. Fresh is
// always true, because EventBridge does not know an event again.
func (b *Bus) Publish(ctx context.Context, e event.Event) (fresh bool, err error) {
	return true, b.Put(ctx, e)
}

// Quarantine puts on the bus that e could not be routed, and why; a rule of the stack keeps
// that event. It is what a webhook.Handler puts events in quarantine with, and is like [Bus.Publish].
func (b *Bus) Quarantine(ctx context.Context, e event.Event, reason string) (fresh bool, err error) {
	told, err := contract.Quarantined{Reason: reason, Event: e}.Enclose()
	if err != nil {
		return false, err
	}
	return b.Publish(ctx, told)
}

// Put puts events on the bus, in calls as large as they may be. Those that were not
// taken are tried again, and only those. An error says that at least one was not, or
// may not have been; others may be on the bus. EventBridge gives each its id: those of
// events are not used.
func (b *Bus) Put(ctx context.Context, events ...event.Event) error {
	var call []types.PutEventsRequestEntry
	bytes := 0
	for _, e := range events {
		entry := b.entry(e)
		size := sizeOf(entry)
		if size >= maxBytes {
			return fmt.Errorf("event %q of %d bytes: %w", e.ID, size, ErrTooLarge)
		}
		if len(call) == maxEntries || bytes+size > maxBytes {
			if err := b.insist(ctx, call); err != nil {
				return err
			}
			call, bytes = nil, 0
		}
		call, bytes = append(call, entry), bytes+size
	}
	return b.insist(ctx, call)
}

func (b *Bus) entry(e event.Event) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		EventBusName: &b.name, Source: &e.Source, DetailType: &e.DetailType,
		Time: &e.Time, Resources: e.Resources, Detail: aws.String(string(e.Detail)),
	}
}

// sizeOf is the size of an entry as AWS counts it.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
func sizeOf(e types.PutEventsRequestEntry) int {
	n := 14 + len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// insist makes one call, and others with what the last one did not take.
func (b *Bus) insist(ctx context.Context, entries []types.PutEventsRequestEntry) error {
	var err error
	for i, pause := 0, firstPause; i < attempts && len(entries) > 0; i, pause = i+1, 2*pause {
		if i > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return errors.Join(err, context.Cause(ctx))
			}
		}
		entries, err = b.call(ctx, entries)
	}
	return err
}

// call makes one call and returns what it did not take, and why.
func (b *Bus) call(ctx context.Context, entries []types.PutEventsRequestEntry) (rest []types.PutEventsRequestEntry, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return entries, fmt.Errorf("putting events on the bus %s: %w", b.name, err)
	}
	if len(out.Entries) != len(entries) {
		return entries, fmt.Errorf("putting events on the bus %s: %d answers for %d events", b.name, len(out.Entries), len(entries))
	}
	for i, answer := range out.Entries {
		if answer.EventId == nil {
			rest = append(rest, entries[i])
			err = fmt.Errorf("the bus %s did not take an event: %s: %s", b.name, aws.ToString(answer.ErrorCode), aws.ToString(answer.ErrorMessage))
		}
	}
	return rest, err
}
