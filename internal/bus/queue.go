package bus

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// maxWindow is how many deliveries a queue holds in memory.
const maxWindow = 500

// A delivery is one event on its way to one rule, as a row of the table is.
type delivery struct {
	queue    *queue
	due      int64 // milliseconds since 1970; 0 when it was never tried
	seq      int64 // of the event
	attempts int   // made so far
}

// compare orders deliveries as the key of their table does.
func compare(a, b delivery) int {
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
}

// A queue is the pending deliveries of one rule. It holds the first of them and
// knows how far it can see: up to horizon the window has every delivery that is
// not in flight, beyond it the rest is on disk only.
type queue struct {
	rule  Rule
	limit int           // of the window; maxWindow but in tests
	wake  chan struct{} // holds one token while there is news for the dispatcher

	mu      sync.Mutex
	window  []delivery         // guarded by mu; sorted
	horizon delivery           // guarded by mu
	flight  map[int64]struct{} // guarded by mu; seqs taken and not yet settled on disk
}

// boundless is the horizon of a queue that sees all.
var boundless = delivery{due: math.MaxInt64, seq: math.MaxInt64}

func newQueue(r Rule) *queue {
	return &queue{rule: r, limit: maxWindow, wake: make(chan struct{}, 1), horizon: boundless, flight: map[int64]struct{}{}}
}

// refill reads the window from disk. It is a write, though it changes nothing:
// among writes, nothing is published or settled between the reading and [queue.fill].
func (q *queue) refill(tx *disk.Tx) error {
	limit := q.limit + q.flying()
	first, err := firstPending(tx, q, limit)
	tx.OnCommit(func() { q.fill(first, len(first) == limit) })
	return err
}

// fill replaces the window by first, the first deliveries on disk, of which
// there are more when truncated.
func (q *queue) fill(first []delivery, truncated bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.horizon = boundless
	if truncated {
		q.horizon = first[len(first)-1]
	}
	q.window = slices.DeleteFunc(first, func(d delivery) bool {
		_, flying := q.flight[d.seq]
		return flying
	})
	q.signal()
}

// add takes in a delivery that has just been stored.
func (q *queue) add(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.flight, d.seq)
	if compare(d, q.horizon) > 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(q.window, d, compare)
	q.window = slices.Insert(q.window, at, d)
	if len(q.window) > q.limit {
		q.window = q.window[:q.limit]
		q.horizon = q.window[q.limit-1]
	}
	q.signal()
}

// settle forgets a delivery that is no longer pending on disk.
func (q *queue) settle(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.flight, d.seq)
}

// take removes the first delivery if it is due. If none is, it says how long to
// wait for the first, or that the window must be filled again to know.
func (q *queue) take(now time.Time) (d delivery, ok bool, wait time.Duration, empty bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.window) == 0 {
		return delivery{}, false, math.MaxInt64, q.horizon != boundless
	}
	d = q.window[0]
	if wait := time.UnixMilli(d.due).Sub(now); wait > 0 {
		return delivery{}, false, wait, false
	}
	q.window = q.window[1:]
	q.flight[d.seq] = struct{}{}
	return d, true, 0, false
}

// flying is how many deliveries are in flight.
func (q *queue) flying() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.flight)
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
