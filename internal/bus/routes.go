package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// ErrStopped is returned by [Bus.SetRules] after [Bus.Run] has ended.
var ErrStopped = errors.New("bus is stopped")

// routes are the rules in force. They are immutable and replaced as a whole.
type routes struct {
	set    *pattern.Set
	queues map[string]*queue // by rule name
}

// newRoutes returns the routes of rules. A rule whose name is in old keeps its queue, and so
// everything pending and in flight.
func newRoutes(rules []Rule, targets map[string]Target, old *routes) *routes {
	next := &routes{queues: map[string]*queue{}}
	patterns := map[string]*pattern.Pattern{}
	for _, r := range rules {
		patterns[r.Name] = r.Pattern
		if old != nil {
			next.queues[r.Name] = old.queues[r.Name]
		}
		if next.queues[r.Name] == nil {
			next.queues[r.Name] = newQueue(r.withDefaults(), targets[r.Target])
		}
	}
	next.set = pattern.NewSet(patterns)
	return next
}

// match returns the queues of the rules that match an event.
func (r *routes) match(e event.Event) (matching []*queue, err error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		return nil, err
	}
	for _, rule := range r.set.Match(envelope) {
		matching = append(matching, r.queues[rule])
	}
	return matching, nil
}

// Rules returns the names of the rules in force, sorted.
func (b *Bus) Rules() []string { return slices.Sorted(maps.Keys(b.routes.Load().queues)) }

// SetRules replaces the rules of [Config] while the bus runs; it waits until [Bus.Run] has begun.
// Every event is routed by the old rules or by the new ones, never by a mixture. Pending deliveries
// of a rule continue if the new rules have one of that name, to its new target. For removed rules,
// calls under way finish and the rest becomes dead letters, as with [Open]; SetRules returns when
// that is done.
//
// After an error of ctx or of the disk, the new rules may be in force while deliveries of old ones
// are still pending. Calling SetRules again, or opening the bus, completes the change.
func (b *Bus) SetRules(ctx context.Context, rules []Rule, targets map[string]Target) error {
	if err := (Config{Rules: rules, Targets: targets, Batches: b.batches}).check(); err != nil {
		return err
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	select {
	case <-b.started:
	case <-ctx.Done():
		return ctx.Err()
	}
	// The order matters. First the switch, so that removed rules get nothing new; then dispatchers
	// for added rules; then the end of removed ones. Only then can nothing of a removed rule be in
	// flight, and what is left on disk be moved to the dead letters.
	old := b.routes.Load()
	next := newRoutes(rules, targets, old)
	if err := b.swap(ctx, next, old, rules, targets); err != nil {
		return err
	}
	if err := b.begin(ctx, next, old); err != nil {
		return err
	}
	if err := b.end(ctx, next, old); err != nil {
		return fmt.Errorf("waiting for removed rules: %w", err)
	}
	defer b.feedMore() // a replay may have waited for deliveries of a removed rule
	return b.db.Write(ctx, b.buryOrphans)
}

// swap puts next in force. It runs as a write, so that no event is published by the old rules after
// it: [Bus.Publish] checks inside its own write that the rules are still those it matched.
func (b *Bus) swap(ctx context.Context, next, old *routes, rules []Rule, targets map[string]Target) error {
	err := b.db.Write(ctx, func(tx *disk.Tx) error {
		for name, q := range next.queues {
			if old.queues[name] != nil {
				continue
			}
			if err := q.refill(tx); err != nil { // an earlier rule of that name may have left deliveries
				return err
			}
		}
		for _, r := range rules {
			next.queues[r.Name].change(r.withDefaults(), targets[r.Target])
		}
		b.routes.Store(next)
		return nil
	})
	// Writes share a commit. Its error does not concern this one, which stores nothing: the rules
	// are in force.
	if b.routes.Load() == next {
		return nil
	}
	return err
}

// begin starts the dispatchers of added rules.
func (b *Bus) begin(ctx context.Context, next, old *routes) error {
	for name, q := range next.queues {
		if old.queues[name] != nil {
			continue
		}
		select {
		case b.added <- q:
		case <-b.stopped:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// end closes the queues of removed rules and waits for their dispatchers.
func (b *Bus) end(ctx context.Context, next, old *routes) error {
	for q := range maps.Values(old.queues) {
		if next.queues[q.name] == nil {
			q.close()
		}
	}
	for name, q := range old.queues {
		if next.queues[name] != nil {
			continue
		}
		select {
		case <-q.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
