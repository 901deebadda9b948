package bus

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// A Stored is an event as the bus keeps it.
type Stored struct {
	Seq       int64       `json:"seq"`       // its number in the order of publishing
	Published time.Time   `json:"published"` // by the bus's clock, in UTC; Event.Time is the sender's
	Event     event.Event `json:"event"`
}

// A Filter picks events; its zero value picks all. Empty fields do not count.
type Filter struct {
	Source     string
	DetailType string
	Since      time.Time // published then or later
	After      int64     // numbers greater than this one
	Pattern    *pattern.Pattern
	Limit      int // the newest ones, that many at most
}

// Events reads the events that pass f, the newest first. It may be used on any
// database that a bus was opened on, beside that bus or without it; so may the
// other functions that read.
func Events(ctx context.Context, db *disk.DB, f Filter) ([]Stored, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+`
		WHERE events.seq > ? AND (? = '' OR source = ?) AND (? = '' OR detail_type = ?) AND published >= ?
		ORDER BY events.seq DESC`,
		f.After, f.Source, f.Source, f.DetailType, f.DetailType, unixMilli(f.Since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Stored
	for (f.Limit == 0 || len(all) < f.Limit) && rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if ok, err := f.matches(s.Event); err != nil {
			return nil, err
		} else if ok {
			all = append(all, s)
		}
	}
	return all, rows.Err()
}

// EventsAfter reads the events with numbers greater than after, the oldest first, limit
// at most: what who follows the log reads next.
func EventsAfter(ctx context.Context, db *disk.DB, after int64, limit int) ([]Stored, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq > ? ORDER BY events.seq LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (Stored, error) { return scan(rows) })
}

// matches reports whether e passes the pattern.
func (f Filter) matches(e event.Event) (bool, error) {
	if f.Pattern == nil {
		return true, nil
	}
	envelope, err := e.AppendEnvelope(nil)
	return f.Pattern.Matches(envelope), err
}

// unixMilli is t in milliseconds since 1970; 0 for the zero time.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// A Backlog is how much is pending for a rule.
type Backlog struct {
	Rule    string    `json:"rule"`
	Pending int       `json:"pending"`
	Failing int       `json:"failing"` // of these, with an attempt that failed
	Oldest  time.Time `json:"oldest"`  // when the oldest of these was published, or a replay made it
}

// Backlogs reads the backlog of each rule that has one, by name. What a replay made counts
// from then.
func Backlogs(ctx context.Context, db *disk.DB) ([]Backlog, error) {
	rows, err := db.Query(ctx, `SELECT rule, pending, failing, coalesce(min(coalesce(published, since), coalesce(since, published)), 0) FROM (
		SELECT rule, count(*) AS pending, sum(attempts > 0) AS failing,
			min(CASE WHEN since = 0 THEN seq END) AS seq, min(nullif(since, 0)) AS since
		FROM deliveries GROUP BY rule) LEFT JOIN events USING (seq) ORDER BY rule`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (b Backlog, err error) {
		var oldest int64
		err = rows.Scan(&b.Rule, &b.Pending, &b.Failing, &oldest)
		b.Oldest = milli(oldest)
		return b, err
	})
}
