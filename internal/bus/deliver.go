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
)

const (
	maxCompleted = 1000        // deliveries that are done and wait to be settled on disk
	maxSettled   = 100         // deliveries settled by one write, so that others wait little for it
	insistPause  = time.Second // between attempts on a disk that fails
)

// Run delivers events until ctx ends and the targets have returned. It is
// called once.
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
	close(b.stopped)
	dispatchers.Wait()
	close(b.completed)
	keepers.Wait()
	return nil
}

// dispatch gives the deliveries of q to its target as they become due, until ctx ends
// or all that was taken of a closed queue is settled.
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
				b.deliverTaken(ctx, q, d)
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

// deliverTaken makes one attempt at d, with as many of the deliveries after it as the target takes together.
func (b *Bus) deliverTaken(ctx context.Context, q *queue, d delivery) {
	rule, target := q.current()
	batch := b.batches[rule.Target]
	if batch == nil {
		b.deliver(ctx, []delivery{d}, rule, func(ctx context.Context, events []event.Event) []error {
			return []error{target(ctx, events[0])}
		})
		return
	}
	b.deliver(ctx, append([]delivery{d}, q.takeMore(b.now(), MaxBatch-1)...), rule, batch)
}

// deliver makes one attempt at each of list and stores the outcomes.
func (b *Bus) deliver(ctx context.Context, list []delivery, rule Rule, target Batch) {
	stored := make([]Stored, len(list))
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

// load reads the event of number seq.
func (b *Bus) load(ctx context.Context, seq int64) (Stored, error) {
	if s, ok := b.recent.get(seq); ok {
		return s, nil
	}
	return scan(b.db.QueryRow(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq = ?`, seq))
}

// fail postpones d after an attempt that failed, or buries it when there is no hope.
func (b *Bus) fail(ctx context.Context, d delivery, rule Rule, s Stored, cause error) {
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

// storeUnlessCancelled is [Bus.store] with the outcome of an attempt that failed: d is
// forgotten when it is of a replay that has been cancelled meanwhile.
func (b *Bus) storeUnlessCancelled(ctx context.Context, doing string, d delivery, f func(*disk.Tx) error) {
	b.store(ctx, doing, func(tx *disk.Tx) error {
		if cancelled, err := isCancelled(tx, d.replay); err != nil || !cancelled {
			return errors.Join(err, f(tx))
		}
		tx.OnCommit(func() { b.settled(d) })
		return deletePending(tx, d)
	})
}

// settled says that d is no longer pending on disk.
func (b *Bus) settled(d delivery) {
	d.queue.settle(d)
	if d.replay != "" {
		b.feedMore()
	}
}

// hopeless says why no further attempt is made; "" when one is.
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

// settle takes deliveries that are done off the disk, as many at once as there
// are. It lags behind the targets, which a crash turns into a second delivery.
func (b *Bus) settle(ctx context.Context) {
	for first := range b.completed {
		done := []delivery{first}
		for len(b.completed) > 0 && len(done) < maxSettled {
			done = append(done, <-b.completed)
		}
		b.settleAll(ctx, done)
	}
}

// settleAll takes deliveries off the disk in one write.
func (b *Bus) settleAll(ctx context.Context, done []delivery) {
	b.store(ctx, "settling deliveries", func(tx *disk.Tx) error {
		for _, d := range done {
			tx.OnCommit(func() { b.settled(d) })
		}
		return deleteAllPending(tx, done)
	})
}

// store makes a write until it succeeds. It is tried once even when ctx has
// ended, because a target's work would else be done again.
func (b *Bus) store(ctx context.Context, doing string, f func(*disk.Tx) error) {
	b.insist(ctx, doing, func() error { return b.db.Write(context.WithoutCancel(ctx), f) })
}

// insist calls f until it succeeds or ctx ends. A disk that fails holds
// deliveries up; it must not lose them.
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
