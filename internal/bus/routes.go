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

// routes are the rules in force. They are replaced as a whole.
type routes struct {
	set    *pattern.Set
	queues map[string]*queue // by the names of their rules
}

// newRoutes makes the routes of rules. A rule that old has by name goes on with its queue.
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

// SetRules puts other rules in the place of those of [Config], while the bus runs;
// it waits for [Bus.Run] to begin. Each event goes by the old rules or by the new ones.
// What is pending of a rule goes on when there is one of that name, to its new target.
// Of other rules, what is under way comes to its end and the rest goes to the dead
// letters, as it does with [Open]; SetRules returns when that is done.
//
// After an error of ctx or of the disk the new rules may be in force, and what is
// pending of old ones still pending; calling again, or opening, makes that good.
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
	defer b.feedMore() // what was pending of a replay may have gone with its rule
	return b.db.Write(ctx, b.buryOrphans)
}

// swap puts next in force. It does so among writes, so that no event is published
// by rules that are no more; see [Bus.Publish].
func (b *Bus) swap(ctx context.Context, next, old *routes, rules []Rule, targets map[string]Target) error {
	err := b.db.Write(ctx, func(tx *disk.Tx) error {
		for name, q := range next.queues {
			if old.queues[name] != nil {
				continue
			}
			if err := q.refill(tx); err != nil { // should an earlier rule of that name have left something
				return err
			}
		}
		for _, r := range rules {
			next.queues[r.Name].change(r.withDefaults(), targets[r.Target])
		}
		b.routes.Store(next)
		return nil
	})
	if b.routes.Load() == next {
		return nil // an error was that of a neighbour's commit: nothing of this is on disk
	}
	return err
}

// begin has what is new delivered.
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

// end lets what is under way of removed rules come to its end.
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
