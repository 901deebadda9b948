// Package local reads the Mayfly of one machine: its database, beside a running mayfly up
// or after its end, and what a running one says of itself.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/registry"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/image"
	imagesqlite "github.com/mayfly-ci/mayfly/internal/image/sqlite"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// followEvery is how often the database is looked at for what has come.
const followEvery = 200 * time.Millisecond

// standingPatience is how long a running mayfly up may take to say how it stands.
const standingPatience = 10 * time.Second

// An Order has whoever writes the database carry out one order, one of the paths of
// [machine.Ask], and fills out with the answer.
type Order func(ctx context.Context, path string, in, out any) error

// OpenDatabase opens the database at path for reading, unless it is of another version.
func OpenDatabase(ctx context.Context, path string) (*disk.DB, error) {
	db, err := disk.OpenReader(path)
	if err != nil {
		return nil, err
	}
	for _, migrated := range []func(context.Context, *disk.DB) error{bus.Migrated, registry.Migrated, sqlite.Migrated, imagesqlite.Migrated} {
		if err := migrated(ctx, db); err != nil {
			err = fmt.Errorf("reading %s: %w", path, errors.Join(err, db.Close()))
			switch {
			case !errors.Is(err, disk.ErrOlder):
				return nil, err
			case disk.InUse(path):
				return nil, cli.Hint(err, "the mayfly up that runs is of an older version, or is just starting: start it anew with this version, or try again")
			}
			return nil, cli.Hint(err, "mayfly up of this version brings the database up to date: start it once")
		}
	}
	return db, nil
}

// New returns the source of the database at path, which is open as db until the source is closed.
func New(db *disk.DB, path string, order Order) *inspect.Source {
	return &inspect.Source{
		Ledger: sqlite.NewReader(db), Events: events{db}, Letters: letters{db, order}, Quarantine: quarantine{db, order}, Schemas: schemas{db},
		Images: func(ctx context.Context) (*image.Catalog, error) { return imagesqlite.Read(ctx, db) },
		Health: func(ctx context.Context) (inspect.Health, error) { return health(ctx, db, path) },
		Logs: func(ctx context.Context, runner string, lines int, follow bool, out io.Writer) error {
			return machine.Logs(ctx, filepath.Dir(path), machine.LogOrder{Runner: runner, LogQuery: fleet.LogQuery{Lines: lines, Follow: follow}}, out)
		},
		Numbered: true, Pause: followEvery, Close: db.Close,
	}
}

func health(ctx context.Context, db *disk.DB, path string) (h inspect.Health, err error) {
	h.Words = "mayfly up is not running: this is what the last run left"
	h.Fix = "mayfly up starts it"
	if h.Running = disk.InUse(path); h.Running {
		h.Words = "mayfly up is running"
		h.Parts = partsOf(ctx, filepath.Dir(path))
	}
	backlogs, err1 := bus.Backlogs(ctx, db)
	quarantined, err2 := bus.CountQuarantined(ctx, db)
	replays, err3 := bus.Replays(ctx, db)
	h.Backlogs, h.Quarantined = backlogs, quarantined
	h.Replays = slices.DeleteFunc(replays, func(r eventlog.Replay) bool { return r.State != eventlog.ReplayRunning })
	return h, errors.Join(err1, err2, err3)
}

// partsOf asks the mayfly up that runs with a state folder. One that does not answer
// is starting or ending: there will be another status.
func partsOf(ctx context.Context, state string) (parts []inspect.Check) {
	ctx, cancel := context.WithTimeout(ctx, standingPatience)
	defer cancel()
	s, err := machine.Ask[machine.Standing](ctx, state, "/standing", struct{}{})
	if err != nil {
		return nil
	}
	for _, p := range s.Parts {
		state := inspect.StateFault
		switch {
		case p.OK:
			state = inspect.StateOK
		case p.Since.IsZero():
			state = inspect.StateUnknown
		}
		parts = append(parts, inspect.Check{Name: p.Name, State: state, Detail: p.Name + ": " + p.State, Fix: p.Fix, Cause: p.Cause})
	}
	for _, t := range s.Troubles {
		parts = append(parts, inspect.Check{Name: "runners", State: inspect.StateWarning, Detail: t.Message, Fix: t.Hint})
	}
	return parts
}

type events struct{ db *disk.DB }

// Events implements [inspect.Events].
func (e events) Events(ctx context.Context, f eventlog.Filter) ([]eventlog.Stored, error) {
	return bus.Events(ctx, e.db, f)
}

// Each implements [inspect.Events].
func (e events) Each(ctx context.Context, from, to time.Time, detailType string, f func(event.Event) error) error {
	return bus.Each(ctx, e.db, eventlog.Selection{From: from, To: to}, func(s eventlog.Stored) error {
		if s.Event.DetailType != detailType {
			return nil
		}
		return f(s.Event)
	})
}

type schemas struct{ db *disk.DB }

// Schemas implements [inspect.Schemas].
func (s schemas) Schemas(ctx context.Context) (map[string][]*schema.Schema, error) {
	return registry.Read(ctx, s.db)
}

type letters struct {
	db    *disk.DB
	order Order
}

// Letters implements [inspect.Letters].
func (l letters) Letters(ctx context.Context, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error) {
	return bus.DeadLetters(ctx, l.db, f, limit)
}

// Retry implements [inspect.Letters].
func (l letters) Retry(ctx context.Context, f eventlog.LetterFilter) (n int, err error) {
	err = l.order(ctx, "/dlq/retry", f, &n)
	return n, err
}

// Drop implements [inspect.Letters].
func (l letters) Drop(ctx context.Context, f eventlog.LetterFilter) (n int, err error) {
	err = l.order(ctx, "/dlq/drop", f, &n)
	return n, err
}

type quarantine struct {
	db    *disk.DB
	order Order
}

// Quarantined implements [inspect.Quarantine].
func (q quarantine) Quarantined(ctx context.Context, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error) {
	return bus.InQuarantine(ctx, q.db, f, limit)
}

// Release implements [inspect.Quarantine].
func (q quarantine) Release(ctx context.Context, f eventlog.QuarantineFilter) (r eventlog.Release, err error) {
	err = q.order(ctx, "/quarantine/release", f, &r)
	return r, err
}

// Drop implements [inspect.Quarantine].
func (q quarantine) Drop(ctx context.Context, f eventlog.QuarantineFilter) (n int, err error) {
	err = q.order(ctx, "/quarantine/drop", f, &n)
	return n, err
}
