package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

const (
	maxCompleted = 1000        // finished deliveries waiting to be settled on disk
	maxSettled   = 100         // deliveries settled by one write, so that other writes wait little
	insistPause  = time.Second // between attempts on a failing disk
)

// Run delivers events until ctx ends and the targets have returned. Call it once.
func (b *Bus) Run(ctx context.Context) error {
	var dispatchers, keepers sync.WaitGroup
	start := func(q *queue) { dispatchers.Go(func() { b.dispatch(ctx, q) }) }
	for _, q := range b.routes.Load().queues {
		start(q)
	}
	keepers.Go(func() { b.settle(ctx) })
	keepers.Go(func() { b.clean(ctx) })
	keepers.Go(func() { b.feed(ctx) })
	close(b.started)
	for ctx.Err() == nil {
		select {
		case q := <-b.added:
			start(q)
		case <-ctx.Done():
		}
	}
	// The order is that of the data: dispatchers feed completed, which settle drains.
	close(b.stopped)
	dispatchers.Wait()
	close(b.completed)
	keepers.Wait()
	return nil
}

// dispatch passes the deliveries of q to its target as they become due, until ctx ends or q is
// closed and drained.
func (b *Bus) dispatch(ctx context.Context, q *queue) {
	defer close(q.ended)
	var calls sync.WaitGroup
	defer calls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && !q.drained() {
		d, ok, wait, empty := q.take(b.now())
		switch {
		case ok:
			calls.Go(func() {
				defer q.release()
				begun := time.Now()
				if b.deliverTaken(ctx, q, d) == MaxBatch { // and so more may wait
					b.yield(ctx, time.Since(begun))
				}
			})
		case empty:
			b.insist(ctx, "reading pending deliveries", func() error { return b.db.Write(ctx, q.refill) })
		default:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-q.wake:
			case <-ctx.Done():
			}
		}
	}
}

// deliverTaken makes one attempt at d, with as many of the deliveries after it as the target takes together. It
// returns how many that were.
func (b *Bus) deliverTaken(ctx context.Context, q *queue, d delivery) int {
	rule, target := q.current()
	batch := b.batches[rule.Target]
	if batch == nil {
		b.deliver(ctx, []delivery{d}, rule, func(ctx context.Context, events []event.Event) []error {
			return []error{target(ctx, events[0])}
		})
		return 1
	}
	list := append([]delivery{d}, q.takeMore(b.now(), MaxBatch-1)...)
	b.deliver(ctx, list, rule, batch)
	return len(list)
}

// deliver makes one attempt at each of list and stores the outcomes.
func (b *Bus) deliver(ctx context.Context, list []delivery, rule Rule, target Batch) {
	stored := make([]eventlog.Stored, len(list))
	events := make([]event.Event, len(list))
	for i, d := range list {
		b.insist(ctx, "reading an event", func() (err error) {
			stored[i], err = b.load(ctx, d.seq)
			return err
		})
		if ctx.Err() != nil {
			return
		}
		stored[i].Event.ReplayName = d.replay
		events[i] = stored[i].Event
	}
	for i, err := range b.call(ctx, rule, target, events) {
		switch {
		case err == nil:
			b.Counters.Delivered.Add(1)
			b.completed <- list[i]
		case ctx.Err() == nil:
			b.fail(ctx, list[i], rule, stored[i], err)
		}
	}
}

// call calls the target. One that panics has failed; it must not take the process along, only to meet the same
// event after the restart. Of several events each is then given alone, so that the others are taken.
func (b *Bus) call(ctx context.Context, rule Rule, target Batch, events []event.Event) (errs []error) {
	defer func() {
		p := recover()
		switch {
		case p == nil:
			return
		case len(events) == 1:
			b.log.Error("target panicked", "rule", rule.Name, "event", events[0].ID, "err", p, "stack", string(debug.Stack()))
			errs = []error{fmt.Errorf("panic: %v", p)}
			return
		}
		errs = nil
		for _, e := range events {
			errs = append(errs, b.call(ctx, rule, target, []event.Event{e})...)
		}
	}()
	return target(ctx, events)
}

// load reads event seq.
func (b *Bus) load(ctx context.Context, seq int64) (eventlog.Stored, error) {
	if s, ok := b.recent.get(seq); ok {
		return s, nil
	}
	return scan(b.db.QueryRow(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq = ?`, seq))
}

// fail postpones d after a failed attempt, or moves it to the dead letters if a retry is useless.
func (b *Bus) fail(ctx context.Context, d delivery, rule Rule, s eventlog.Stored, cause error) {
	now := b.now()
	later := d
	later.attempts++
	pause := rule.Backoff.pause(later.attempts, b.rand())
	if after := (retryAfter{}); errors.As(cause, &after) {
		pause = max(pause, min(after.pause, MaxPutOff))
	}
	next := now.Add(pause)
	later.due = next.UnixMilli()
	log := b.log.With("rule", rule.Name, "event", s.Event.ID, "attempts", later.attempts, "err", cause)

	if reason := rule.hopeless(later.attempts, next.Sub(d.begun(s)), cause); reason != "" {
		log.Error("delivery given up", "reason", reason)
		b.storeUnlessCancelled(ctx, "burying a delivery", d, func(tx *disk.Tx) error {
			tx.OnCommit(func() {
				b.Counters.Dead.Add(1)
				b.settled(d)
			})
			return bury(tx, d, later.attempts, fmt.Sprintf("%s: %v", reason, cause), now)
		})
		return
	}
	log.Warn("delivery failed", "next", next)
	b.Counters.Retried.Add(1)
	b.storeUnlessCancelled(ctx, "postponing a delivery", d, func(tx *disk.Tx) error {
		tx.OnCommit(func() { d.queue.add(later) })
		return postpone(tx, d, later, cause.Error())
	})
}

// storeUnlessCancelled is [Bus.store] for the outcome of a failed attempt. If d belongs to a replay
// that was cancelled meanwhile, it is deleted instead.
func (b *Bus) storeUnlessCancelled(ctx context.Context, doing string, d delivery, f func(*disk.Tx) error) {
	b.store(ctx, doing, func(tx *disk.Tx) error {
		if cancelled, err := isCancelled(tx, d.replay); err != nil || !cancelled {
			return errors.Join(err, f(tx))
		}
		tx.OnCommit(func() { b.settled(d) })
		return deletePending(tx, d)
	})
}

// settled records that d is no longer pending on disk.
func (b *Bus) settled(d delivery) {
	d.queue.settle(d)
	if d.replay != "" {
		b.feedMore()
	}
}

// hopeless returns why no further attempt is made; "" if one is.
func (r Rule) hopeless(attempts int, age time.Duration, cause error) string {
	switch {
	case errors.As(cause, new(permanent)):
		return "permanent error"
	case attempts >= r.MaxAttempts:
		return fmt.Sprintf("%d attempts", attempts)
	case age > r.MaxAge:
		return fmt.Sprintf("older than %v", r.MaxAge)
	}
	return ""
}

// settle deletes finished deliveries from disk, as many per write as there are. It lags behind the
// targets: after a crash those in between are delivered a second time.
func (b *Bus) settle(ctx context.Context) {
	for first := range b.completed {
		done := []delivery{first}
		for len(b.completed) > 0 && len(done) < maxSettled {
			done = append(done, <-b.completed)
		}
		b.settleAll(ctx, done)
	}
}

// settleAll deletes deliveries from disk in one write.
func (b *Bus) settleAll(ctx context.Context, done []delivery) {
	b.store(ctx, "settling deliveries", func(tx *disk.Tx) error {
		for _, d := range done {
			tx.OnCommit(func() { b.settled(d) })
		}
		return deleteAllPending(tx, done)
	})
}

// store repeats a write until it succeeds. It tries once even if ctx has ended, because otherwise a
// target's finished work would be repeated.
func (b *Bus) store(ctx context.Context, doing string, f func(*disk.Tx) error) {
	b.insist(ctx, doing, func() error { return b.db.Write(context.WithoutCancel(ctx), f) })
}

// insist calls f until it succeeds or ctx ends. A failing disk delays deliveries, but must not lose
// them.
func (b *Bus) insist(ctx context.Context, doing string, f func() error) {
	for {
		err := f()
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.Error(doing, "err", err)
		select {
		case <-time.After(insistPause):
		case <-ctx.Done():
			return
		}
	}
}
