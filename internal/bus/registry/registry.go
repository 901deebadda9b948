// Package registry discovers the schemas of events from the bus's log, and keeps them in the
// same database. It follows the log with a durable cursor, so that it does not slow down
// publishing, and reads later what it missed while it did not run.
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

// Observing an event takes almost a millisecond. To leave the processor to deliveries, a batch is
// followed by a pause: at most 100 events a second are observed.
const (
	batch     = 10
	pause     = 100 * time.Millisecond
	idle      = time.Second // between reads of a log without new events
	saveEvery = 500         // after so many events the cursor is saved, even if no schema changed; after a crash they are observed again
	maxTold   = 5           // how many changes of a schema a log line names
)

// tables are the tables of the registry, see [disk.DB.Migrate]. A body is the JSON of a
// [schema.Registry] with one schema.
var tables = []string{`
CREATE TABLE schemas (
	name TEXT PRIMARY KEY,
	body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE schemas_cursor (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	seq INTEGER NOT NULL
);`}

// A Discoverer discovers the schemas of events on a bus.
type Discoverer struct {
	db  *disk.DB
	log *slog.Logger

	// All fields below belong to the goroutine of Run.

	schemas  map[string]*schema.Registry // by the name of the schema, each with only that one
	cursor   int64                       // number of the last observed event
	observed map[string]bool             // names of schemas with events observed since the last save
	unsaved  int                         // number of events observed since the last save
}

// Migrated returns nil if db has the tables that [Read] reads, and [disk.ErrOlder] if no discoverer
// of this version has been opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "schemas", tables) }

// Open returns the discoverer for the bus on db, which must have been opened before. It continues
// where the previous discoverer stopped.
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

// Run discovers schemas until ctx ends. Call it once. It logs errors of the disk and tries again;
// what it cannot save in the end, the next discoverer discovers again.
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

// step observes the next events of the log and returns their number.
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

// observe adds an event to its schema, and reports whether the schema changed.
func (d *Discoverer) observe(e event.Event) bool {
	if len(e.Detail) == 0 {
		return false // its detail was dropped to save space before it was observed
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

// maxSchemas is the limit of a schema.Registry, applied here to all registries together.
const maxSchemas = 500

// tell logs what changed. A first version is normal; a later one may need attention, so it names
// the changes.
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

// save stores the schemas and the cursor in one transaction, so that no event is observed twice or
// skipped.
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

// Read returns the schemas in db by name, each with its kept versions, oldest first. It may be used
// while a discoverer runs.
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
