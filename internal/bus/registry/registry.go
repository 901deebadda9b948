// Package registry discovers the schemas of events from the bus's log, and keeps them
// in its database. It follows the log by a cursor of its own, so publishing costs no
// more for it, and what it missed while it was away it reads later.
package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
)

// Observing an event takes the better part of a millisecond. So that deliveries come
// first, no more than a batch is observed between two pauses: 100 events a second.
const (
	batch     = 10
	pause     = 100 * time.Millisecond
	idle      = time.Second // between looks at a log without news
	saveEvery = 500         // events observed, when they changed no schema; a crash has them observed again
	maxTold   = 5           // changes of a schema that the log names
)

// tables is the tables of the registry, see [disk.DB.Migrate]. A body is the JSON of a
// [schema.Registry] with the one schema.
var tables = []string{`
CREATE TABLE schemas (
	name TEXT PRIMARY KEY,
	body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE schemas_cursor (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	seq INTEGER NOT NULL
);`}

// A Discoverer discovers.
type Discoverer struct {
	db  *disk.DB
	log *slog.Logger

	// All below belong to Run.

	schemas  map[string]*schema.Registry // by the names of the schemas, each with the one
	cursor   int64                       // number of the last event that was observed
	observed map[string]bool             // names of schemas that have seen events since they were saved
	unsaved  int                         // events observed since
}

// Migrated returns nil when db has the tables that [Read] reads, and [disk.ErrOlder] when no
// discoverer of this version was opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "schemas", tables) }

// Open returns the discoverer of the bus on db, which has been opened on it. It goes on
// where the one before it was.
func Open(ctx context.Context, db *disk.DB, log *slog.Logger) (*Discoverer, error) {
	if err := db.Migrate(ctx, "schemas", tables); err != nil {
		return nil, err
	}
	d := &Discoverer{db: db, log: log, observed: map[string]bool{}}
	var err error
	if d.schemas, err = read(ctx, db); err != nil {
		return nil, err
	}
	err = db.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM schemas_cursor`).Scan(&d.cursor)
	return d, err
}

// Run discovers until ctx ends. It is called once. A disk that fails is said and tried
// again, and what could not be saved in the end is discovered again by the next one.
func (d *Discoverer) Run(ctx context.Context) error {
	for {
		wait := pause
		n, err := d.step(ctx)
		ended := ctx.Err() != nil
		if ended {
			err = d.save(context.WithoutCancel(ctx))
		}
		if err != nil {
			d.log.Error("discovering schemas", "err", err)
		}
		if ended {
			return nil
		}
		if n < batch {
			wait = idle
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// step observes the next events of the log and returns how many there were.
func (d *Discoverer) step(ctx context.Context) (int, error) {
	events, err := bus.EventsAfter(ctx, d.db, d.cursor, batch)
	if err != nil {
		return 0, err
	}
	changed := false
	for _, s := range events {
		if d.observe(s.Event) {
			changed = true
		}
		d.cursor = s.Seq
		d.unsaved++
	}
	if changed || d.unsaved >= saveEvery {
		return len(events), d.save(ctx)
	}
	return len(events), nil
}

// observe shows an event to its schema, and reports whether that changed.
func (d *Discoverer) observe(e event.Event) bool {
	if len(e.Detail) == 0 {
		return false // dropped to save space before its turn came
	}
	name := schema.Name(e.Source, e.DetailType)
	r := d.schemas[name]
	if r == nil {
		if len(d.schemas) >= maxSchemas {
			d.log.Warn("schema not discovered: there are too many", "schema", name, "event", e.ID)
			return false
		}
		r = &schema.Registry{}
		d.schemas[name] = r
	}
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		d.log.Warn("schema not discovered", "event", e.ID, "err", err)
		return false
	}
	before := r.Latest(name)
	latest, changed, err := r.Observe(envelope)
	if err != nil {
		d.log.Warn("schema not discovered", "event", e.ID, "err", err)
		return false
	}
	d.observed[name] = true
	if changed {
		d.tell(before, latest, e)
	}
	return changed
}

// maxSchemas is as many as a schema.Registry takes.
const maxSchemas = 500

// tell says what changed. A first version is no news to worry about; a later one may be.
func (d *Discoverer) tell(before, latest *schema.Schema, e event.Event) {
	if before == nil {
		d.log.Info("schema discovered", "schema", latest.Name(), "event", e.ID)
		return
	}
	changes := schema.Diff(before, latest)
	told := make([]string, 0, maxTold)
	for _, c := range changes[:min(len(changes), maxTold)] {
		told = append(told, c.String())
	}
	d.log.Info("schema changed", "schema", latest.Name(), "version", latest.Version, "event", e.ID, "changes", len(changes), "first", told)
}

// save stores what was observed, together with how far that is.
func (d *Discoverer) save(ctx context.Context) error {
	bodies := map[string][]byte{}
	for name := range d.observed {
		body, err := json.Marshal(d.schemas[name])
		if err != nil {
			return err
		}
		bodies[name] = body
	}
	err := d.db.Write(ctx, func(tx *disk.Tx) error {
		for name, body := range bodies {
			if _, err := tx.Exec(`INSERT INTO schemas (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body`, name, body); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO schemas_cursor (one, seq) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET seq = excluded.seq`, d.cursor)
		return err
	})
	if err != nil {
		return fmt.Errorf("saving schemas: %w", err)
	}
	clear(d.observed)
	d.unsaved = 0
	return nil
}

// Read reads the schemas in db by name, each with the versions that are kept, the oldest
// first. It may be used beside a discoverer.
func Read(ctx context.Context, db *disk.DB) (map[string][]*schema.Schema, error) {
	all, err := read(ctx, db)
	if err != nil {
		return nil, err
	}
	versions := map[string][]*schema.Schema{}
	for name, r := range all {
		versions[name] = r.Versions(name)
	}
	return versions, nil
}

func read(ctx context.Context, db *disk.DB) (map[string]*schema.Registry, error) {
	rows, err := db.Query(ctx, `SELECT name, body FROM schemas`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]*schema.Registry{}
	for rows.Next() {
		name, r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all[name] = r
	}
	return all, rows.Err()
}

func scan(rows *sql.Rows) (name string, r *schema.Registry, err error) {
	var body []byte
	if err := rows.Scan(&name, &body); err != nil {
		return "", nil, err
	}
	r = &schema.Registry{}
	if err := json.Unmarshal(body, r); err != nil {
		return "", nil, fmt.Errorf("schema %q: %w", name, err)
	}
	if r.Latest(name) == nil {
		return "", nil, errors.New("schema " + name + ": the row holds another one")
	}
	return name, r, nil
}
