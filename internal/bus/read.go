package bus

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Events returns the events that pass f, newest first. Like all reading functions it works on any
// database on which a bus was opened, next to that bus or without it.
func Events(ctx context.Context, db *disk.DB, f eventlog.Filter) ([]eventlog.Stored, error) {
	if f.ID != "" {
		return eventOf(ctx, db, f)
	}
	before := f.Before
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+`
		WHERE events.seq > ? AND events.seq < ? AND (? = '' OR source = ?) AND (? = '' OR detail_type = ?) AND published >= ?
		ORDER BY events.seq DESC`,
		f.After, before, f.Source, f.Source, f.DetailType, f.DetailType, unixMilli(f.Since))
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

// eventOf returns the event of f's id, if it passes f.
func eventOf(ctx context.Context, db *disk.DB, f eventlog.Filter) ([]eventlog.Stored, error) {
	s, err := scan(db.QueryRow(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.id = ?`, f.ID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	f.ID = ""
	ok, err := f.Matches(s.Event)
	if !ok || err != nil {
		return nil, err
	}
	return []eventlog.Stored{s}, nil
}

// EventsAfter returns up to limit events with numbers greater than after, oldest first: what a
// follower of the log reads next.
func EventsAfter(ctx context.Context, db *disk.DB, after int64, limit int) ([]eventlog.Stored, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq > ? ORDER BY events.seq LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (eventlog.Stored, error) { return scan(rows) })
}

// unixMilli returns t in milliseconds since 1970; 0 for the zero time.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Backlogs returns the backlog of each rule that has one, by name.
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
