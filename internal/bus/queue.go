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

// MaxPutOff is the longest that a delivery is put off because its target asks for that. What is put off
// longer was so by a clock that has been set back since.
const MaxPutOff = time.Hour

// A subject is what a delivery brings: an event as it was published, or once more by a replay.
type subject struct {
	seq    int64  // of the event
	replay string // name of the replay; "" for none
}

// A delivery is one event on its way to one rule, as a row of the table is.
type delivery struct {
	subject
	queue    *queue
	due      int64 // milliseconds since 1970; 0 when it was never tried, unless a replay made it
	since    int64 // when a replay made it, milliseconds since 1970; 0 stands for when the event was published
	attempts int   // made so far
}

// newDelivery is the first delivery of an event to the rule of q.
func newDelivery(q *queue, seq int64) delivery {
	return delivery{queue: q, subject: subject{seq: seq}}
}

// begun is since when the age of d is counted; s is its event.
func (d delivery) begun(s Stored) time.Time {
	if d.since != 0 {
		return milli(d.since)
	}
	return s.Published
}

// compare orders deliveries as the key of their table does.
func compare(a, b delivery) int {
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq), cmp.Compare(a.replay, b.replay))
}

// A queue is the pending deliveries of one rule. It holds the first of them and
// knows how far it can see: up to horizon the window has every delivery that is
// not in flight, beyond it the rest is on disk only.
type queue struct {
	name  string        // of the rule
	limit int           // of the window; maxWindow but in tests
	wake  chan struct{} // holds one token while there is news for the dispatcher
	ended chan struct{} // closed by the dispatcher at its end

	mu      sync.Mutex
	rule    Rule                 // guarded by mu
	target  Target               // guarded by mu
	calls   int                  // guarded by mu; of the target, under way
	closed  bool                 // guarded by mu; nothing is taken any more
	window  []delivery           // guarded by mu; sorted
	horizon delivery             // guarded by mu
	flight  map[subject]struct{} // guarded by mu; what was taken and is not yet settled on disk
}

// boundless is the horizon of a queue that sees all.
var boundless = delivery{due: math.MaxInt64}

func newQueue(r Rule, t Target) *queue {
	return &queue{
		name: r.Name, rule: r, target: t, limit: maxWindow, horizon: boundless, flight: map[subject]struct{}{},
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// current returns the rule in force and its target.
func (q *queue) current() (Rule, Target) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rule, q.target
}

// change puts another rule of the same name in force, for what is taken from now on.
func (q *queue) change(r Rule, t Target) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rule, q.target = r, t
	q.signal()
}

// close lets no more be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// drained reports whether the queue is closed and all that was taken is settled.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.flight) == 0
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
		_, flying := q.flight[d.subject]
		return flying
	})
	q.signal()
}

// add takes in a delivery that has just been stored.
func (q *queue) add(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.flight, d.subject)
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
	delete(q.flight, d.subject)
	if q.closed {
		q.signal()
	}
}

// take removes the first delivery if it is due and the target may have another one,
// until [queue.release]. If not, it says how long to wait for the first, or that the
// window must be filled again to know.
func (q *queue) take(now time.Time) (d delivery, ok bool, wait time.Duration, empty bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.calls >= q.rule.Workers {
		return delivery{}, false, math.MaxInt64, false
	}
	if len(q.window) == 0 {
		return delivery{}, false, math.MaxInt64, q.horizon != boundless
	}
	d = q.window[0]
	// Whatever is due later than anything is ever put off was put off by a clock that has been set back since.
	if wait := time.UnixMilli(d.due).Sub(now); wait > 0 && wait <= max(q.rule.Backoff.Max, MaxPutOff) {
		return delivery{}, false, wait, false
	}
	q.window = q.window[1:]
	q.flight[d.subject] = struct{}{}
	q.calls++
	return d, true, 0, false
}

// takeMore removes the deliveries after one that was taken which are due, n at most, for the same call.
func (q *queue) takeMore(now time.Time, n int) (all []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(all) < min(n, len(q.window)) && q.window[len(all)].due <= now.UnixMilli() {
		d := q.window[len(all)]
		q.flight[d.subject] = struct{}{}
		all = append(all, d)
	}
	q.window = q.window[len(all):]
	return all
}

// release says that a call of the target has ended.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls--
	q.signal()
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
