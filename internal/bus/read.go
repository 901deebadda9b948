package bus

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Events reads the events that pass f, the newest first. It may be used on any
// database that a bus was opened on, beside that bus or without it; so may the
// other functions that read.
func Events(ctx context.Context, db *disk.DB, f eventlog.Filter) ([]eventlog.Stored, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+`
		WHERE events.seq > ? AND (? = '' OR source = ?) AND (? = '' OR detail_type = ?) AND published >= ?
		ORDER BY events.seq DESC`,
		f.After, f.Source, f.Source, f.DetailType, f.DetailType, unixMilli(f.Since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []eventlog.Stored
	for (f.Limit == 0 || len(all) < f.Limit) && rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if ok, err := f.Matches(s.Event); err != nil {
			return nil, err
		} else if ok {
			all = append(all, s)
		}
	}
	return all, rows.Err()
}

// EventsAfter reads the events with numbers greater than after, the oldest first, limit
// at most: what who follows the log reads next.
func EventsAfter(ctx context.Context, db *disk.DB, after int64, limit int) ([]eventlog.Stored, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq > ? ORDER BY events.seq LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (eventlog.Stored, error) { return scan(rows) })
}

// unixMilli is t in milliseconds since 1970; 0 for the zero time.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// A Pending is a delivery that is still to be made.
type Pending struct {
	Rule      string
	Seq       int64 // of the event
	EventID   string
	Published time.Time
	Attempts  int       // made so far
	Due       time.Time // of the next attempt; zero when none was made
	LastError string
}

// PendingDeliveries reads what is pending, in the order of work within each rule.
func PendingDeliveries(ctx context.Context, db *disk.DB, limit int) ([]Pending, error) {
	rows, err := db.Query(ctx, `SELECT rule, seq, id, published, attempts, due, last_error
		FROM deliveries JOIN events USING (seq) ORDER BY rule, due, seq LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (p Pending, err error) {
		var published, due int64
		err = rows.Scan(&p.Rule, &p.Seq, &p.EventID, &published, &p.Attempts, &due, &p.LastError)
		p.Published = milli(published)
		if due != 0 {
			p.Due = milli(due)
		}
		return p, err
	})
}

// Backlogs reads the backlog of each rule that has one, by name. What a replay made counts
// from then.
func Backlogs(ctx context.Context, db *disk.DB) ([]eventlog.Backlog, error) {
	rows, err := db.Query(ctx, `SELECT rule, pending, failing, coalesce(min(coalesce(published, since), coalesce(since, published)), 0) FROM (
		SELECT rule, count(*) AS pending, sum(attempts > 0) AS failing,
			min(CASE WHEN since = 0 THEN seq END) AS seq, min(nullif(since, 0)) AS since
		FROM deliveries GROUP BY rule) LEFT JOIN events USING (seq) ORDER BY rule`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (b eventlog.Backlog, err error) {
		var oldest int64
		err = rows.Scan(&b.Rule, &b.Pending, &b.Failing, &oldest)
		b.Oldest = milli(oldest)
		return b, err
	})
}
