package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// reading says what the commands that list read: the database of this machine, or the
// stack on AWS.
type reading struct {
	platform
	State string `help:"State folder, in place of the configuration's." type:"path" placeholder:"DIR"`
	JSON  bool   `help:"Print JSON."`

	fresh        bool   // a database is made where there is none
	architecture string // whose images, on AWS; "" for those of the first pool that has none of its own
}

// platform says where mayfly runs.
type platform struct {
	Platform string `help:"Where mayfly runs, in place of the configuration's: machine or aws." enum:",machine,aws" default:"" placeholder:"WHERE"`
}

// onAWS reports whether that is AWS.
func (p platform) onAWS(c *commands) (bool, error) {
	if p.Platform != "" {
		return p.Platform == config.PlatformAWS, nil
	}
	s, err := readPart(c.Config)
	return s.Config != nil && s.Platform == config.PlatformAWS, err
}

// onAWS is that of r's platform. A state folder that was named is this machine's, and
// needs no configuration.
func (r reading) onAWS(c *commands) (bool, error) {
	if r.State != "" && r.Platform == "" {
		return false, nil
	}
	return r.platform.onAWS(c)
}

// A source is what there is to read of a pipeline, wherever it runs: one for each
// platform.
type source struct {
	ledger  ledgerReader
	events  eventReader
	letters letterBox
	held    quarantineBox
	schemas schemaReader
	images  func(context.Context) (*image.Catalog, error) // of the images that runners start from
	health  func(context.Context) (health, error)
	hook    hookSite
	pause   time.Duration // between looks at what comes
	close   func() error
}

// A hookSite is where the webhook should send to, and the command that sees to it.
type hookSite struct{ url, command string }

// A ledgerReader reads jobs and runners, as [ledger.Store] says.
type ledgerReader interface {
	Snapshot(ctx context.Context) (*ledger.State, error)
	Jobs(ctx context.Context, q ledger.JobQuery) ([]ledger.Job, error)
	Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error)
}

// An eventReader reads what went over the bus: the events that pass f, the newest
// first. Their numbers count for this reader only.
type eventReader interface {
	Events(ctx context.Context, f eventlog.Filter) ([]eventlog.Stored, error)

	// Each calls f with each event of a type that came from from until to, in about the order in
	// which they came and maybe twice, until it returns an error; a zero time is now. An event
	// whose detail was dropped has none.
	Each(ctx context.Context, from, to time.Time, detailType string, f func(event.Event) error) error
}

// A letterBox has the dead letters.
type letterBox interface {
	// Letters returns those that pass f, the newest first, limit at most.
	Letters(ctx context.Context, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error)

	// Retry has those that pass f delivered again, and Drop forgets them. Both return how
	// many it was; after an error, calling again does the rest.
	Retry(ctx context.Context, f eventlog.LetterFilter) (int, error)
	Drop(ctx context.Context, f eventlog.LetterFilter) (int, error)
}

// A quarantineBox has the deliveries that lack what routing needs.
type quarantineBox interface {
	// Quarantined returns those that pass f, the newest first, limit at most.
	Quarantined(ctx context.Context, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error)

	// Release has those that pass f routed again and published, and Drop forgets them. What
	// lacks something still, stays; after an error, calling again does the rest.
	Release(ctx context.Context, f eventlog.QuarantineFilter) (eventlog.Release, error)
	Drop(ctx context.Context, f eventlog.QuarantineFilter) (int, error)
}

// A schemaReader reads the schemas that were discovered, by name, each with its
// versions, the oldest first.
type schemaReader interface {
	Schemas(ctx context.Context) (map[string][]*schema.Schema, error)
}

// health is how the pipeline itself stands.
type health struct {
	Running  bool
	Words    string             // such as "mayfly up is running"
	Backlogs []eventlog.Backlog // of the rules of a bus that tells

	Quarantined int               // deliveries that lack what routing needs
	Replays     []eventlog.Replay // that run
	Troubles    []machine.Trouble // of what runs runners, as a running mayfly up sees them
}

// source opens what c reads.
func (r reading) source(ctx context.Context, all *commands, log *slog.Logger) (*source, error) {
	switch aws, err := r.onAWS(all); {
	case err != nil:
		return nil, err
	case aws:
		return stackSource(ctx, all, r.architecture)
	}
	return r.fileSource(ctx, all, log)
}

// path returns where the database is.
func (r reading) path(c *commands) (string, error) {
	if r.State != "" {
		return filepath.Join(r.State, machine.DatabaseName), nil
	}
	s, err := readPart(c.Config)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.State, machine.DatabaseName), nil
}

// limitsUnknown is what there is to say of a job where nobody has written what limits are in force.
const limitsUnknown = "limits unknown: mayfly up of this version writes them when it starts"

// atLeastOne is a number on the command line.
type atLeastOne int

// Validate is called by kong.
func (n atLeastOne) Validate() error {
	if n < 1 {
		return fmt.Errorf("%d: want 1 or more", n)
	}
	return nil
}

// stamp prints a time for a list, by the reader's clock.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("01-02 15:04:05.000")
}

func orDash(s string) string { return cmp.Or(s, "-") }
