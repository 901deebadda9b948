// Package bus is stage 2: it stores events and delivers each to every rule that matches it, with
// the semantics of Amazon EventBridge, in one process and one database file.
//
// An event accepted by [Bus.Publish] is on disk, together with one pending delivery per matching
// rule. [Bus.Run] makes the deliveries: at least once, retried with growing pauses, and moved to
// the dead letters, with the reason, when retrying is useless. The database is authoritative;
// memory holds a short window of it per rule, so that a backlog of any length costs no more than a
// small one.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// A Target receives the events of a rule. It is called at least once for each event, so it must be
// idempotent, and by as many goroutines as the rule has workers. After an error it is called again:
// not if the error is [Permanent], and no earlier than a [RetryAfter] says. When ctx ends it has to
// return soon; that attempt does not count.
type Target func(ctx context.Context, e event.Event) error

// A Rule sends the events that match a pattern to a target. Zero numbers mean EventBridge's
// defaults (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html).
type Rule struct {
	Name        string
	Pattern     *pattern.Pattern
	Target      string        // name of one of the targets of [Config]
	Workers     int           // concurrent calls of the target; default 1, which keeps the order of publishing
	MaxAge      time.Duration // age of an event after which a failed attempt is the last; default 24 hours
	MaxAttempts int           // default 185
	Backoff     Backoff
}

// A Backoff is the pause before the next attempt: First after the first failure, then doubled each
// time, up to Max. A random part of up to half is subtracted, so that deliveries that failed
// together are not retried together.
type Backoff struct {
	First time.Duration // default 1 second
	Max   time.Duration // default 10 minutes
}

// Retention periods.
const (
	MinRetention     = 72 * time.Hour // GitHub redelivers for 3 days
	DefaultRetention = 96 * time.Hour
	letterRetention  = 14 * 24 * time.Hour // of dead letters, quarantine and ended replays; the longest that SQS keeps messages
)

// A Config configures a bus.
type Config struct {
	Rules   []Rule
	Targets map[string]Target
	Batches map[string]Batch // further targets, by names that Targets has not
	Log     *slog.Logger

	// Retention is how long an event is kept after it was published, and so how long its id is
	// known: at least MinRetention; zero means DefaultRetention.
	Retention time.Duration

	// MaxSize bounds the bytes of details in the log, not counting those of events that are
	// pending, ahead of a replay or dead letters. Beyond it the oldest events lose their details:
	// they are still listed and their ids known until Retention ends, but a replay omits them. Zero
	// means no limit.
	MaxSize int64

	Now  func() time.Time // default time.Now
	Rand func() float64   // in [0, 1), called concurrently; default rand.Float64
}

// A Bus stores and delivers events. Its methods are safe for concurrent use.
type Bus struct {
	db        *disk.DB
	routes    atomic.Pointer[routes]
	batches   map[string]Batch
	log       *slog.Logger
	retention time.Duration
	maxSize   int64
	now       func() time.Time
	rand      func() float64
	completed chan delivery
	recent    recent
	changing  sync.Mutex    // held while rules change
	started   chan struct{} // closed once Run accepts more queues
	added     chan *queue   // queues for Run to deliver from
	stopped   chan struct{} // closed once Run accepts no more queues
	feeding   chan struct{} // holds one token while the feeder of replays has work
	grown     chan struct{} // holds one token while the log has to be cleaned

	// Owned by the functions given to db.Write.
	seq     int64 // of the newest event
	bytes   int64 // details published so far
	cleaned int64 // value of bytes when cleaning was last requested

	Counters Counters
}

// Counters count since the bus was opened.
type Counters struct {
	Published  atomic.Int64 // new events
	Duplicates atomic.Int64 // events whose id was known
	Replayed   atomic.Int64 // deliveries made by replays
	Delivered  atomic.Int64
	Retried    atomic.Int64 // failed attempts that are retried
	Dead       atomic.Int64 // deliveries that became dead letters
}

// Migrated returns nil if db has the tables that this package reads, and [disk.ErrOlder] if no bus
// of this version was opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "bus", schema) }

// Open returns the bus of c on db, which holds one bus. Pending deliveries of rules that c no
// longer has become dead letters.
func Open(ctx context.Context, db *disk.DB, c Config) (*Bus, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "bus", schema); err != nil {
		return nil, err
	}
	b := &Bus{
		db: db, batches: c.Batches, log: c.Log, retention: c.Retention, now: c.Now, rand: c.Rand,
		completed: make(chan delivery, maxCompleted),
		started:   make(chan struct{}), added: make(chan *queue), stopped: make(chan struct{}),
		feeding: make(chan struct{}, 1), grown: make(chan struct{}, 1), maxSize: c.MaxSize,
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.rand == nil {
		b.rand = rand.Float64
	}
	if b.retention == 0 {
		b.retention = DefaultRetention
	}
	b.routes.Store(newRoutes(c.Rules, c.Targets, nil))
	return b, db.Write(ctx, b.resume)
}

// check returns the first fault of c.
func (c Config) check() error {
	if c.Retention != 0 && c.Retention < MinRetention {
		return fmt.Errorf("retention %v: want %v or more, as long as GitHub redelivers", c.Retention, MinRetention)
	}
	if c.MaxSize < 0 {
		return fmt.Errorf("size %d: want a number of bytes, or 0 for no limit", c.MaxSize)
	}
	known := map[string]bool{}
	for _, r := range c.Rules {
		switch {
		case r.Name == "":
			return errors.New("rule without a name")
		case known[r.Name]:
			return fmt.Errorf("duplicate rule name %q", r.Name)
		case r.Pattern == nil:
			return fmt.Errorf("rule %q: pattern is missing", r.Name)
		case c.Targets[r.Target] == nil && c.Batches[r.Target] == nil:
			return fmt.Errorf("rule %q: target %q is not configured", r.Name, r.Target)
		case r.MaxAttempts < 0:
			return fmt.Errorf("rule %q: attempts %d: want 1 or more, or 0 for the default", r.Name, r.MaxAttempts)
		}
		known[r.Name] = true
	}
	return nil
}

func (r Rule) withDefaults() Rule {
	r.Workers = max(r.Workers, 1)
	if r.MaxAge == 0 {
		r.MaxAge = 24 * time.Hour
	}
	if r.MaxAttempts == 0 {
		r.MaxAttempts = 185
	}
	if r.Backoff.First == 0 {
		r.Backoff.First = time.Second
	}
	if r.Backoff.Max == 0 {
		r.Backoff.Max = 10 * time.Minute
	}
	return r
}

// pause returns the pause after attempts failures, with jitter in [0, 1).
func (p Backoff) pause(attempts int, jitter float64) time.Duration {
	d := p.First
	for i := 1; i < attempts && d < p.Max; i++ {
		d *= 2
	}
	d = min(d, p.Max)
	return d - time.Duration(jitter*float64(d/2))
}

// permanent marks an error that a retry would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as not retryable: the event is dead-lettered at once.
func Permanent(err error) error { return permanent{err} }

// retryAfter is an error with the shortest pause before the next attempt.
type retryAfter struct {
	error
	pause time.Duration
}

func (r retryAfter) Unwrap() error { return r.error }

// RetryAfter marks err as one that a retry would meet again before pause has passed, of which
// [MaxPutOff] counts at most. A longer pause of the rule takes precedence.
func RetryAfter(err error, pause time.Duration) error { return retryAfter{err, pause} }
