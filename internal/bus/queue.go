package bus

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// maxWindow is how many deliveries a queue holds in memory.
const maxWindow = 500

// MaxPutOff bounds how long a target can postpone its delivery. A delivery that is due even later
// was postponed before the clock was set back.
const MaxPutOff = time.Hour

// A subject identifies what a delivery brings: an event, as published or as repeated by a replay. A
// rule gets each subject once.
type subject struct {
	seq    int64  // of the event
	replay string // name of the replay; "" if none
}

// A delivery is one event on its way to one rule: a row of the table deliveries.
type delivery struct {
	subject
	queue    *queue
	due      int64 // milliseconds since 1970; 0 before the first attempt, unless a replay made it
	since    int64 // when a replay made it, milliseconds since 1970; 0 means when the event was published
	attempts int   // made so far
}

// newDelivery returns the first delivery of an event to the rule of q.
func newDelivery(q *queue, seq int64) delivery {
	return delivery{queue: q, subject: subject{seq: seq}}
}

// begun returns from when the age of d counts; s is its event.
func (d delivery) begun(s eventlog.Stored) time.Time {
	if d.since != 0 {
		return milli(d.since)
	}
	return s.Published
}

// compare orders deliveries like the primary key of their table: by due time, which puts new events
// (due 0) before retries and replays, then by publishing order.
func compare(a, b delivery) int {
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq), cmp.Compare(a.replay, b.replay))
}

// A queue is the pending deliveries of one rule. The window in memory is a sorted prefix of those
// on disk: it contains every delivery up to horizon that is not in flight. What is beyond the
// horizon is on disk only.
//
// A delivery is on disk until it is settled, and in memory in exactly one of window, flight and
// beyond the horizon. That is what makes a delivery neither lost nor given to two workers at once.
type queue struct {
	name  string        // of the rule
	limit int           // of the window; maxWindow except in tests
	wake  chan struct{} // holds one token while the dispatcher has to look again
	ended chan struct{} // closed when the dispatcher ends

	mu      sync.Mutex
	rule    Rule                 // guarded by mu
	target  Target               // guarded by mu
	calls   int                  // guarded by mu; current calls of the target
	closed  bool                 // guarded by mu; nothing more is taken
	window  []delivery           // guarded by mu; sorted
	horizon delivery             // guarded by mu
	flight  map[subject]struct{} // guarded by mu; taken and not yet settled on disk
}

// boundless is the horizon of a window that contains everything pending.
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

// change replaces the rule by one of the same name, for deliveries taken from now on.
func (q *queue) change(r Rule, t Target) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rule, q.target = r, t
	q.signal()
}

// close stops taking. What is in flight is finished; the rest stays on disk.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// drained reports whether the queue is closed and everything taken is settled.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.flight) == 0
}

// refill reads the window from disk. It runs as a write although it changes nothing: writes are
// serialized, so nothing is published or settled between its reading and [queue.fill].
func (q *queue) refill(tx *disk.Tx) error {
	// Deliveries in flight are still on disk and fill skips them: read that many more.
	limit := q.limit + q.flying()
	first, err := firstPending(tx, q, limit)
	tx.OnCommit(func() { q.fill(first, len(first) == limit) })
	return err
}

// fill replaces the window by first, the first deliveries on disk. If truncated, there are more of
// them, and the horizon is the last one read.
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

// add adds a delivery that was just stored: a new one, or one in flight that was postponed. Beyond
// the horizon it is ignored, because the window would have a gap before it; a refill finds it.
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
		// What is dropped is on disk, and the horizon moves before it.
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

// take returns the first delivery if it is due and the target has a free worker, which is occupied
// until [queue.release]. Otherwise wait is the time until the first one is due, and empty reports
// that the window has to be refilled to know.
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
	// A due time beyond every possible pause was set by a clock that has been set back since:
	// deliver now, rather than wait for a time that may be years away.
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

// flying returns how many deliveries are in flight.
func (q *queue) flying() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.flight)
}

// signal wakes the dispatcher. One token is enough: it looks at everything when it wakes.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
