// Package inspect has what there is to see of a Mayfly, wherever it runs: jobs and why they
// wait, runners, events, dead letters, quarantine, schemas, images, and its health. The
// commands that list read it, and so does `mayfly test`. It prints nothing.
//
// A [Source] reads one Mayfly. Its plugs are inspect/local, for the database of one machine,
// and inspect/stack, for a stack on AWS. The types named as things are ([Status], [Job],
// [Images], ...) are views: values with all that a page or a table shows, ready for JSON.
package inspect

import (
	"context"
	"io"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Source is what there is to read of one Mayfly. It may be used by several goroutines.
type Source struct {
	Ledger     Ledger
	Events     Events
	Letters    Letters
	Quarantine Quarantine
	Schemas    Schemas
	Images     func(context.Context) (*image.Catalog, error) // of the images that runners start from
	Health     func(context.Context) (Health, error)
	Hook       Hook
	Numbered   bool          // events have the numbers of their publishing, by which lists go on
	Logs       Logs          // nil where runners print elsewhere
	LogsAt     string        // where that is, for people
	Pause      time.Duration // between looks at what comes
	Close      func() error
}

// A Hook is where the webhook should send to, and the command that sees to it. The zero value
// says that the configuration knows.
type Hook struct{ URL, Command string }

// Logs writes what a live runner prints to out: up to lines of what it printed so far, and with follow
// what it prints until it ends.
type Logs func(ctx context.Context, runner string, lines int, follow bool, out io.Writer) error

// Ledger reads jobs and runners, as [ledger.Store] says.
type Ledger interface {
	Snapshot(ctx context.Context) (*ledger.State, error)
	Jobs(ctx context.Context, q ledger.JobQuery) ([]ledger.Job, error)
	Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error)
}

// Events reads what went over the bus.
type Events interface {
	// Events returns the events that pass f, the newest first. Their numbers count for this
	// reader only.
	Events(ctx context.Context, f eventlog.Filter) ([]eventlog.Stored, error)

	// Each calls f with each event of a type that came from from until to, in about the order in
	// which they came and maybe twice, until it returns an error; a zero time is now. An event
	// whose detail was dropped has none.
	Each(ctx context.Context, from, to time.Time, detailType string, f func(event.Event) error) error
}

// Letters has the dead letters.
type Letters interface {
	// Letters returns those that pass f, the newest first, limit at most.
	Letters(ctx context.Context, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error)

	// Retry has those that pass f delivered again, and Drop forgets them. Both return how
	// many it was; after an error, calling again does the rest.
	Retry(ctx context.Context, f eventlog.LetterFilter) (int, error)
	Drop(ctx context.Context, f eventlog.LetterFilter) (int, error)
}

// Quarantine has the deliveries that lack what routing needs.
type Quarantine interface {
	// Quarantined returns those that pass f, the newest first, limit at most.
	Quarantined(ctx context.Context, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error)

	// Release has those that pass f routed again and published, and Drop forgets them. What
	// still lacks something stays; after an error, calling again does the rest.
	Release(ctx context.Context, f eventlog.QuarantineFilter) (eventlog.Release, error)
	Drop(ctx context.Context, f eventlog.QuarantineFilter) (int, error)
}

// Schemas reads the discovered schemas, by name, each with its versions, the oldest first.
type Schemas interface {
	Schemas(ctx context.Context) (map[string][]*schema.Schema, error)
}
