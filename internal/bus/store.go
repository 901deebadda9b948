package bus

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// schema is the tables of the bus, see [disk.DB.Migrate]. Times are in milliseconds since 1970.
//
//	events      seq is the publishing order; start is how many bytes of details were published before it, size its own.
//	details     A separate table in the same order, so that deleting old details frees whole pages for new ones.
//	deliveries  Pending ones. Due 0 means never tried, so that the primary key is the order of work. Those of a
//	            replay have its name, and are due when they were made, which is behind all new ones.
//	replays     Runs while ended is 0; the events up to cursor are passed on.
//	log         One row: the numbers up to which events were removed, and up to which details were cut.
var schema = []string{`
CREATE TABLE events (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	published   INTEGER NOT NULL,
	source      TEXT NOT NULL,
	detail_type TEXT NOT NULL,
	time        INTEGER NOT NULL,
	resources   TEXT NOT NULL,
	detail      BLOB NOT NULL
);
CREATE TABLE deliveries (
	rule       TEXT NOT NULL,
	due        INTEGER NOT NULL,
	seq        INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	last_error TEXT NOT NULL,
	PRIMARY KEY (rule, due, seq)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
	seq      INTEGER NOT NULL,
	rule     TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	died     INTEGER NOT NULL,
	PRIMARY KEY (seq, rule)
) WITHOUT ROWID;`, `
ALTER TABLE deliveries RENAME TO deliveries_1;
CREATE TABLE deliveries (
	rule       TEXT NOT NULL,
	due        INTEGER NOT NULL,
	seq        INTEGER NOT NULL,
	replay     TEXT NOT NULL,
	since      INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	last_error TEXT NOT NULL,
	PRIMARY KEY (rule, due, seq, replay)
) WITHOUT ROWID;
INSERT INTO deliveries SELECT rule, due, seq, '', 0, attempts, last_error FROM deliveries_1;
DROP TABLE deliveries_1;
CREATE INDEX deliveries_of_replays ON deliveries (replay) WHERE replay <> '';

ALTER TABLE dead_letters RENAME TO dead_letters_1;
CREATE TABLE dead_letters (
	seq      INTEGER NOT NULL,
	rule     TEXT NOT NULL,
	replay   TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	died     INTEGER NOT NULL,
	PRIMARY KEY (seq, rule, replay)
) WITHOUT ROWID;
INSERT INTO dead_letters SELECT seq, rule, '', attempts, reason, died FROM dead_letters_1;
DROP TABLE dead_letters_1;

CREATE TABLE replays (
	name       TEXT PRIMARY KEY,
	since      INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	rules      TEXT NOT NULL,
	pattern    TEXT NOT NULL,
	launch     INTEGER NOT NULL,
	cursor     INTEGER NOT NULL,
	last       INTEGER NOT NULL,
	begun      INTEGER NOT NULL,
	ended      INTEGER NOT NULL,
	cancelled  INTEGER NOT NULL,
	events     INTEGER NOT NULL,
	deliveries INTEGER NOT NULL
) WITHOUT ROWID;`, `
CREATE TABLE quarantine (
	id          TEXT PRIMARY KEY,
	source      TEXT NOT NULL,
	detail_type TEXT NOT NULL,
	time        INTEGER NOT NULL,
	resources   TEXT NOT NULL,
	detail      BLOB NOT NULL,
	at          INTEGER NOT NULL,
	reason      TEXT NOT NULL
);
CREATE INDEX quarantine_at ON quarantine (at);`, `
ALTER TABLE events ADD COLUMN start INTEGER NOT NULL DEFAULT 0;
CREATE TABLE log (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	removed INTEGER NOT NULL,
	cut     INTEGER NOT NULL
);
INSERT INTO log (one, removed, cut) VALUES (1, 0, 0);`, `
ALTER TABLE events RENAME TO events_4;
CREATE TABLE events (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	published   INTEGER NOT NULL,
	source      TEXT NOT NULL,
	detail_type TEXT NOT NULL,
	time        INTEGER NOT NULL,
	resources   TEXT NOT NULL,
	start       INTEGER NOT NULL,
	size        INTEGER NOT NULL
);
CREATE TABLE details (
	seq    INTEGER PRIMARY KEY,
	detail BLOB NOT NULL
);
INSERT INTO events SELECT seq, id, published, source, detail_type, time, resources, start, length(detail) FROM events_4 ORDER BY seq;
INSERT INTO details SELECT seq, detail FROM events_4 WHERE length(detail) > 0 ORDER BY seq;
DROP TABLE events_4;`}

// insert stores e as number seq; false if its id is known.
func insert(tx *disk.Tx, seq, start int64, e event.Event, now time.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO events (seq, start, size, id, published, source, detail_type, time, resources)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		seq, start, len(e.Detail), e.ID, now.UnixMilli(), e.Source, e.DetailType, e.Time.UnixMilli(), texts(e.Resources))
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO details (seq, detail) VALUES (?, ?)`, seq, []byte(e.Detail))
	return err == nil, err
}

// An event is read as columns FROM whole.
const (
	columns = `events.seq, events.id, published, source, detail_type, time, resources, detail`
	whole   = `events LEFT JOIN details ON details.seq = events.seq`
)

// A row is anything with the columns of an event.
type row interface{ Scan(dest ...any) error }

// scan reads an event from [columns], and further columns of the query into more.
func scan(r row, more ...any) (s eventlog.Stored, err error) {
	var published, at int64
	var resources string
	var detail []byte
	dest := append([]any{&s.Seq, &s.Event.ID, &published, &s.Event.Source, &s.Event.DetailType, &at, &resources, &detail}, more...)
	if err := r.Scan(dest...); err != nil {
		return eventlog.Stored{}, err
	}
	s.Published, s.Event.Time, s.Event.Detail = milli(published), milli(at), detail
	s.Event.Resources, err = list(resources)
	return s, err
}

// texts encodes a list for the database, where json_each splits it; "null" for none.
func texts(list []string) string {
	out, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	return string(out)
}

// list decodes what texts encoded.
func list(texts string) (list []string, err error) {
	if err := json.Unmarshal([]byte(texts), &list); err != nil {
		return nil, fmt.Errorf("list %q: %w", texts, err)
	}
	return list, nil
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// addPending makes d pending.
func addPending(tx *disk.Tx, d delivery) error {
	_, err := tx.Exec(`INSERT INTO deliveries (rule, due, seq, replay, since, attempts, last_error) VALUES (?, ?, ?, ?, ?, 0, '')`,
		d.queue.name, d.due, d.seq, d.replay, d.since)
	return err
}

func deletePending(tx *disk.Tx, d delivery) error {
	_, err := tx.Exec(`DELETE FROM deliveries WHERE rule = ? AND due = ? AND seq = ? AND replay = ?`, d.queue.name, d.due, d.seq, d.replay)
	return err
}

// deleteAllPending is deletePending for many: those that were never tried, of which there are most, in one
// statement for each rule.
func deleteAllPending(tx *disk.Tx, list []delivery) error {
	fresh := map[string][]int64{}
	for _, d := range list {
		if d.due == 0 && d.replay == "" {
			fresh[d.queue.name] = append(fresh[d.queue.name], d.seq)
		} else if err := deletePending(tx, d); err != nil {
			return err
		}
	}
	for rule, seqs := range fresh {
		text, err := json.Marshal(seqs)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM deliveries WHERE rule = ? AND due = 0 AND replay = '' AND seq IN (SELECT value FROM json_each(?))`,
			rule, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// postpone moves d to a later time. It does nothing when it was done before.
func postpone(tx *disk.Tx, d, later delivery, reason string) error {
	_, err := tx.Exec(`UPDATE deliveries SET due = ?, attempts = ?, last_error = ? WHERE rule = ? AND due = ? AND seq = ? AND replay = ?`,
		later.due, later.attempts, event.Clip(reason, event.MaxSaid), d.queue.name, d.due, d.seq, d.replay)
	return err
}

// bury makes d a dead letter. Repeating it does nothing.
func bury(tx *disk.Tx, d delivery, attempts int, reason string, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO dead_letters (seq, rule, replay, attempts, reason, died) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		d.seq, d.queue.name, d.replay, attempts, event.Clip(reason, event.MaxSaid), now.UnixMilli())
	if err != nil {
		return err
	}
	return deletePending(tx, d)
}

// firstPending returns the first deliveries of a queue, at most limit.
func firstPending(tx *disk.Tx, q *queue, limit int) (all []delivery, err error) {
	rows, err := tx.Query(`SELECT due, seq, replay, since, attempts FROM deliveries WHERE rule = ? ORDER BY due, seq, replay LIMIT ?`, q.name, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (d delivery, err error) {
		d.queue = q
		return d, rows.Scan(&d.due, &d.seq, &d.replay, &d.since, &d.attempts)
	})
}

// collect reads rows to the end with scan, and closes them.
func collect[T any](rows *sql.Rows, scan func() (T, error)) (all []T, err error) {
	defer rows.Close()
	for rows.Next() {
		one, err := scan()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
