package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
	"github.com/mayfly-ci/mayfly/internal/image"
	imagesqlite "github.com/mayfly-ci/mayfly/internal/image/sqlite"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// followEvery is how often the database is looked at for what has come.
const followEvery = 200 * time.Millisecond

// open opens the database for reading. It works beside a running mayfly up and after
// its end.
func (r reading) open(ctx context.Context, c *commands) (*disk.DB, error) {
	path, err := r.database(c)
	if err != nil {
		return nil, err
	}
	return openReader(ctx, path)
}

// database returns where the database is, which must be there.
func (r reading) database(c *commands) (path string, err error) {
	if err := r.wantMachine(c); err != nil {
		return "", err
	}
	if path, err = r.path(c); err != nil {
		return "", err
	}
	if r.fresh {
		return path, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", cli.Hint(err, "nothing has run with this state folder yet: mayfly up makes it")
	}
	return path, nil
}

// openReader opens the database at path for reading, unless it is of a version that had
// not all that is read.
func openReader(ctx context.Context, path string) (*disk.DB, error) {
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

// wantMachine refuses what has no database, for the commands that need one.
func (r reading) wantMachine(c *commands) error {
	if r.State != "" && r.Platform == "" { // which needs no configuration
		return nil
	}
	switch aws, err := r.onAWS(c); {
	case err != nil:
		return err
	case aws:
		return cli.Usage(errors.New("platform aws: this command is for the bus of one machine"),
			"--platform machine or --state say that this machine is meant")
	}
	return nil
}

// fileSource reads the database of this machine.
func (r reading) fileSource(ctx context.Context, all *commands, log *slog.Logger) (*source, error) {
	db, err := r.open(ctx, all)
	if err != nil {
		return nil, err
	}
	writing := fileWriting{db: db, reading: r, all: all, log: log}
	return &source{
		ledger: sqlite.NewReader(db), events: fileEvents{db},
		letters: fileLetters{writing}, held: fileQuarantine{writing}, schemas: fileSchemas{db},
		images: func(ctx context.Context) (*image.Catalog, error) { return imagesqlite.Read(ctx, db) },
		health: func(ctx context.Context) (health, error) { return r.fileHealth(ctx, all, db) },
		pause:  followEvery, close: db.Close,
	}, nil
}

func (r reading) fileHealth(ctx context.Context, all *commands, db *disk.DB) (h health, err error) {
	path, err := r.path(all)
	if err != nil {
		return h, err
	}
	h.Words = "mayfly up is not running: this is what the last run left"
	if h.Running = disk.InUse(path); h.Running {
		h.Words = "mayfly up is running"
		h.Troubles = troublesOf(ctx, filepath.Dir(path))
	}
	backlogs, err1 := bus.Backlogs(ctx, db)
	quarantined, err2 := bus.CountQuarantined(ctx, db)
	replays, err3 := bus.Replays(ctx, db)
	h.Backlogs, h.Quarantined = backlogs, quarantined
	h.Replays = slices.DeleteFunc(replays, func(r eventlog.Replay) bool { return r.State != eventlog.ReplayRunning })
	return h, errors.Join(err1, err2, err3)
}

// troublesOf asks the mayfly up that runs with a state folder. One that does not answer
// is starting or ending: there will be another status.
func troublesOf(ctx context.Context, state string) []machine.Trouble {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := machine.Ask[machine.Standing](ctx, state, "/standing", struct{}{})
	if err != nil {
		return nil
	}
	return s.Troubles
}

type fileEvents struct{ db *disk.DB }

// Events implements [eventReader].
func (e fileEvents) Events(ctx context.Context, f eventlog.Filter) ([]eventlog.Stored, error) {
	return bus.Events(ctx, e.db, f)
}

// Each implements [eventReader].
func (e fileEvents) Each(ctx context.Context, from, to time.Time, detailType string, f func(event.Event) error) error {
	return bus.Each(ctx, e.db, eventlog.Selection{From: from, To: to}, func(s eventlog.Stored) error {
		if s.Event.DetailType != detailType {
			return nil
		}
		return f(s.Event)
	})
}

type fileSchemas struct{ db *disk.DB }

// Schemas implements [schemaReader].
func (s fileSchemas) Schemas(ctx context.Context) (map[string][]*schema.Schema, error) {
	return registry.Read(ctx, s.db)
}

// fileWriting is for what is read here and changed by the database's writer.
type fileWriting struct {
	reading
	db  *disk.DB
	all *commands
	log *slog.Logger
}

type fileLetters struct{ fileWriting }

// Letters implements [letterBox].
func (l fileLetters) Letters(ctx context.Context, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error) {
	return bus.DeadLetters(ctx, l.db, f, limit)
}

// Retry implements [letterBox].
func (l fileLetters) Retry(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return askFor[int](ctx, l.reading, l.all, l.log, "/dlq/retry", f)
}

// Drop implements [letterBox].
func (l fileLetters) Drop(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return askFor[int](ctx, l.reading, l.all, l.log, "/dlq/drop", f)
}

type fileQuarantine struct{ fileWriting }

// Quarantined implements [quarantineBox].
func (q fileQuarantine) Quarantined(ctx context.Context, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error) {
	return bus.InQuarantine(ctx, q.db, f, limit)
}

// Release implements [quarantineBox].
func (q fileQuarantine) Release(ctx context.Context, f eventlog.QuarantineFilter) (eventlog.Release, error) {
	return askFor[eventlog.Release](ctx, q.reading, q.all, q.log, "/quarantine/release", f)
}

// Drop implements [quarantineBox].
func (q fileQuarantine) Drop(ctx context.Context, f eventlog.QuarantineFilter) (int, error) {
	return askFor[int](ctx, q.reading, q.all, q.log, "/quarantine/drop", f)
}
