// Package bus is stage 2: it keeps events and brings each to every rule that
// matches it, with the semantics of Amazon EventBridge, in one process and one
// database file.
//
// An event that [Bus.Publish] has accepted is on disk, together with one pending
// delivery per matching rule. [Bus.Run] works these off: at least once, repeated
// with growing pauses, and put among the dead letters, with the reason, when
// that is in vain. The database is the truth; memory holds a short window of it
// per rule, so a backlog of any length costs no more than a small one.
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

// A Target receives the events of a rule. It is called at least once for each,
// so it must do no harm the second time; by as many goroutines as the rule has
// workers. An error means that it is called again later, unless the error is
// [Permanent], and no sooner than it says if it is of [RetryAfter]. When ctx ends it returns soon; the attempt does not count then.
type Target func(ctx context.Context, e event.Event) error

// A Rule sends the events that match a pattern to a target. Figures that are
// zero have EventBridge's defaults
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html).
type Rule struct {
	Name        string
	Pattern     *pattern.Pattern
	Target      string        // a name among the targets of [Config]
	Workers     int           // calls of the target at once; default 1, which keeps the order of publishing
	MaxAge      time.Duration // of an event, beyond which a failed attempt is the last; default 24 hours
	MaxAttempts int           // default 185
	Backoff     Backoff
}

// A Backoff says how long to wait before the next attempt: First after the first
// one, then twice as long each time, Max at most. A random part of up to half is
// taken off, so that what failed together does not come back together.
type Backoff struct {
	First time.Duration // default 1 second
	Max   time.Duration // default 10 minutes
}

// How long things are kept.
const (
	MinRetention     = 72 * time.Hour // GitHub redelivers for 3 days
	DefaultRetention = 96 * time.Hour
	letterRetention  = 14 * 24 * time.Hour // of dead letters, quarantine, and replays that have ended; the longest that SQS keeps messages
)

// A Config is what a bus is made of.
type Config struct {
	Rules   []Rule
	Targets map[string]Target
	Batches map[string]Batch // further targets, by names that Targets has not
	Log     *slog.Logger

	// Retention is how long an event is kept after it was published, and so how
	// long its id is known: MinRetention at least, DefaultRetention when zero.
	Retention time.Duration

	// MaxSize is how many bytes of details the log keeps, but for those of events that are
	// pending, ahead of a replay or dead letters. The oldest beyond that lose theirs: they
	// are listed and their ids are known, for as long as Retention says, but a replay leaves
	// them out. Zero means no limit.
	MaxSize int64

	Now  func() time.Time // default time.Now
	Rand func() float64   // in [0, 1), from several goroutines; default rand.Float64
}

// A Bus keeps and delivers events. Its methods may be called from several goroutines.
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
	changing  sync.Mutex    // held while rules are changed
	started   chan struct{} // closed when Run takes further queues
	added     chan *queue   // to Run, which delivers from them
	stopped   chan struct{} // closed when Run takes none any more
	feeding   chan struct{} // holds one token while there is news for the feeder of replays
	grown     chan struct{} // holds one token while the log is to be cleaned

	// Owned by the functions given to db.Write.
	seq     int64 // of the newest event
	bytes   int64 // of details published up to now
	cleaned int64 // what bytes was when the log was last to be cleaned

	Counters Counters
}

// Counters count since the bus was opened.
type Counters struct {
	Published  atomic.Int64 // fresh events
	Duplicates atomic.Int64 // events that were known
	Replayed   atomic.Int64 // deliveries that replays made
	Delivered  atomic.Int64
	Retried    atomic.Int64 // attempts that failed and are repeated
	Dead       atomic.Int64 // deliveries that became dead letters
}

// Migrated returns nil when db has the tables that this package reads, and
// [disk.ErrOlder] when no bus of this version was opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "bus", schema) }

// Open makes the bus of c on db, which holds one bus. What is pending of rules that c no longer has
// goes to the dead letters.
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

// check reports the first fault of c.
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
			return fmt.Errorf("rule %q: target %q: want one that is there", r.Name, r.Target)
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

// pause is the wait after attempts that failed, with jitter in [0, 1).
func (p Backoff) pause(attempts int, jitter float64) time.Duration {
	d := p.First
	for i := 1; i < attempts && d < p.Max; i++ {
		d *= 2
	}
	d = min(d, p.Max)
	return d - time.Duration(jitter*float64(d/2))
}

// permanent marks an error that another attempt would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that will not go away: the event goes to the dead
// letters at once.
func Permanent(err error) error { return permanent{err} }

// retryAfter is an error with the least time until the next attempt.
type retryAfter struct {
	error
	pause time.Duration
}

func (r retryAfter) Unwrap() error { return r.error }

// RetryAfter marks err as one that another attempt would meet again before pause is
// over, of which an hour counts at most. The rule's own pause counts when it is longer.
func RetryAfter(err error, pause time.Duration) error { return retryAfter{err, pause} }
