package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// held is the SQL condition of a QuarantineFilter.
const held = `(? = 'null' OR id IN (SELECT value FROM json_each(?)))`

// Quarantine stores e with the reason and returns once it is on disk. An event whose id is in
// quarantine or on the bus changes nothing and is not fresh. Errors are those of [Bus.Publish].
func (b *Bus) Quarantine(ctx context.Context, e event.Event, reason string) (fresh bool, err error) {
	if err := e.Validate(); err != nil {
		return false, err
	}
	err = b.db.Write(ctx, func(tx *disk.Tx) error {
		n, err := tx.Exec(`INSERT INTO quarantine (id, source, detail_type, time, resources, detail, at, reason)
			SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = ?) ON CONFLICT DO NOTHING`,
			e.ID, e.Source, e.DetailType, e.Time.UnixMilli(), texts(e.Resources), []byte(e.Detail), b.now().UnixMilli(), event.Clip(reason, event.MaxSaid), e.ID)
		fresh = n == 1
		return err
	})
	return fresh && err == nil, err
}

const quarantineColumns = `id, source, detail_type, time, resources, detail, at, reason`

// InQuarantine returns up to limit quarantined events that pass f, newest first.
func InQuarantine(ctx context.Context, db *disk.DB, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error) {
	ids := texts(f.Events)
	rows, err := db.Query(ctx, `SELECT `+quarantineColumns+` FROM quarantine WHERE `+held+` ORDER BY at DESC, id LIMIT ?`, ids, ids, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (eventlog.Quarantined, error) { return scanQuarantined(rows) })
}

// CountQuarantined returns the number of quarantined events.
func CountQuarantined(ctx context.Context, db *disk.DB) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM quarantine`).Scan(&n)
	return n, err
}

func scanQuarantined(r row) (q eventlog.Quarantined, err error) {
	var at, put int64
	var resources string
	var detail []byte
	err = r.Scan(&q.Event.ID, &q.Event.Source, &q.Event.DetailType, &at, &resources, &detail, &put, &q.Reason)
	if err != nil {
		return q, err
	}
	q.Event.Time, q.Event.Detail, q.At = milli(at), detail, milli(put)
	q.Event.Resources, err = list(resources)
	return q, err
}

// Release completes each quarantined event that passes f with mend, and publishes it in the
// transaction that removes it from quarantine. An event that mend refuses stays, with the new
// reason. After an error, calling Release again does the rest.
func (b *Bus) Release(ctx context.Context, f eventlog.QuarantineFilter, mend func(event.Event) (event.Event, error)) (r eventlog.Release, err error) {
	ids, err := b.heldIDs(ctx, f)
	for _, id := range ids {
		var released, gone bool
		if err := b.db.Write(ctx, func(tx *disk.Tx) (err error) {
			released, gone, err = b.release(tx, id, mend)
			return err
		}); err != nil {
			return r, err
		}
		switch {
		case released:
			r.Released++
		case !gone:
			r.Held++
		}
	}
	return r, err
}

// release releases one event, unless it is gone.
func (b *Bus) release(tx *disk.Tx, id string, mend func(event.Event) (event.Event, error)) (released, gone bool, err error) {
	q, err := scanQuarantined(tx.QueryRow(`SELECT `+quarantineColumns+` FROM quarantine WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return false, true, nil
	} else if err != nil {
		return false, false, err
	}
	mended, err := mend(q.Event)
	if err != nil {
		_, err = tx.Exec(`UPDATE quarantine SET reason = ? WHERE id = ?`, event.Clip(err.Error(), event.MaxSaid), id)
		return false, false, err
	}
	if _, err := b.PublishTx(tx, mended); err != nil {
		return false, false, fmt.Errorf("releasing %q: %w", id, err)
	}
	_, err = tx.Exec(`DELETE FROM quarantine WHERE id = ?`, id)
	return true, false, err
}

// heldIDs returns the ids of the quarantined events that pass f, oldest first.
func (b *Bus) heldIDs(ctx context.Context, f eventlog.QuarantineFilter) ([]string, error) {
	ids := texts(f.Events)
	rows, err := b.db.Query(ctx, `SELECT id FROM quarantine WHERE `+held+` ORDER BY at, id`, ids, ids)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (id string, err error) { return id, rows.Scan(&id) })
}

// DropQuarantined deletes the quarantined events that pass f, and returns how many.
func (b *Bus) DropQuarantined(ctx context.Context, f eventlog.QuarantineFilter) (dropped int, err error) {
	ids := texts(f.Events)
	err = b.db.Write(ctx, func(tx *disk.Tx) error {
		n, err := tx.Exec(`DELETE FROM quarantine WHERE `+held, ids, ids)
		dropped = int(n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return dropped, nil
}
