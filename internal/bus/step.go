package bus

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"
)

// Step makes all attempts that are due, one after another in the caller's goroutine, and returns
// how long it is until the next. It replaces [Bus.Run] where everything has to happen in a fixed
// order, as in a simulation; targets may call it recursively. It does not feed replays.
func (b *Bus) Step(ctx context.Context) (wait time.Duration) {
	queues := b.routes.Load().queues
	for more := true; more && ctx.Err() == nil; {
		more, wait = false, math.MaxInt64
		for _, name := range slices.Sorted(maps.Keys(queues)) {
			again, after := b.stepQueue(ctx, queues[name])
			more, wait = more || again, min(wait, after)
		}
	}
	return wait
}

// stepQueue makes one attempt of q, if one is due, and reports whether there may be more, or how
// long until the next.
func (b *Bus) stepQueue(ctx context.Context, q *queue) (more bool, wait time.Duration) {
	d, ok, wait, empty := q.take(b.now())
	switch {
	case ok:
		b.deliverTaken(ctx, q, d)
		q.release()
		for len(b.completed) > 0 {
			b.settleAll(ctx, []delivery{<-b.completed})
		}
	case empty:
		b.insist(ctx, "reading pending deliveries", func() error { return b.db.Write(ctx, q.refill) })
	default:
		return false, wait
	}
	return true, 0
}
