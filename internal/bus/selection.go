package bus

import (
	"context"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Preview returns what a replay of s to rules would do. It changes nothing.
func PreviewReplay(ctx context.Context, db *disk.DB, s eventlog.Selection, rules []Rule) (eventlog.Preview, error) {
	p := eventlog.Preview{Deliveries: map[string]int{}}
	set := newRoutes(rules, nil, nil).set
	err := Each(ctx, db, s, func(e eventlog.Stored) error {
		if len(e.Event.Detail) == 0 {
			p.Dropped++
			return nil
		}
		picked, err := pick(s, set, "preview", e.Event)
		for _, rule := range picked {
			p.Deliveries[rule]++
		}
		p.Events += min(len(picked), 1)
		return err
	})
	return p, err
}

// selectionBatch is how many events are read at once, a bound on memory.
const selectionBatch = 100

// Each calls f with each event of the log between From and To, in publishing order, until f returns
// an error. It ignores Pattern and Rules.
func Each(ctx context.Context, db *disk.DB, s eventlog.Selection, f func(eventlog.Stored) error) error {
	after, last, err := bounds(ctx, db, s)
	for err == nil && after < last {
		var batch []eventlog.Stored
		batch, after, err = batchAfter(ctx, db, after, last)
		for _, e := range batch {
			if err := f(e); err != nil {
				return err
			}
		}
	}
	return err
}

// batchAfter returns the next events after a number, up to last, and the number to continue after.
func batchAfter(ctx context.Context, db *disk.DB, after, last int64) ([]eventlog.Stored, int64, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq > ? AND events.seq <= ? ORDER BY events.seq LIMIT ?`, after, last, selectionBatch)
	if err != nil {
		return nil, after, err
	}
	batch, err := collect(rows, func() (eventlog.Stored, error) { return scan(rows) })
	if len(batch) == selectionBatch {
		last = batch[len(batch)-1].Seq
	}
	return batch, last, err
}

// bounds returns the numbers of the events of s: those greater than after, up to last.
func bounds(ctx context.Context, db *disk.DB, s eventlog.Selection) (after, last int64, err error) {
	if after, err = lastBefore(ctx, db, s.From); err != nil {
		return 0, 0, err
	}
	if s.To.IsZero() {
		err = db.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM events`).Scan(&last)
	} else {
		last, err = lastBefore(ctx, db, s.To)
	}
	return after, max(after, last), err
}

// lastBefore returns the number of the last event published before t.
func lastBefore(ctx context.Context, db *disk.DB, t time.Time) (int64, error) {
	return lastWith(ctx, db, "published", unixMilli(t))
}

// lastWith returns the number of the last event with less than limit in a column that grows with
// the numbers. It searches by bisection, because the columns have no index.
func lastWith(ctx context.Context, db *disk.DB, column string, limit int64) (int64, error) {
	var low, high int64 // the number is low or more, and less than high
	err := db.QueryRow(ctx, `SELECT coalesce(min(seq), 1) - 1, coalesce(max(seq), 0) + 1 FROM events`).Scan(&low, &high)
	for err == nil && high-low > 1 {
		middle := low + (high-low)/2
		var seq, value int64 // of the first event from there
		err = db.QueryRow(ctx, `SELECT seq, `+column+` FROM events WHERE seq >= ? ORDER BY seq LIMIT 1`, middle).Scan(&seq, &value)
		if seq >= high || value >= limit {
			high = middle
		} else {
			low = seq
		}
	}
	return low, err
}

// pick returns the rules of set to which s sends an event in a replay of that name.
func pick(s eventlog.Selection, set *pattern.Set, replay string, e event.Event) ([]string, error) {
	if len(e.Detail) == 0 {
		return nil, nil
	}
	envelope, err := e.AppendEnvelope(nil)
	if err != nil || s.Pattern != nil && !s.Pattern.Matches(envelope) {
		return nil, err
	}
	if !s.Launch {
		e.ReplayName = replay
		if envelope, err = e.AppendEnvelope(envelope[:0]); err != nil {
			return nil, err
		}
	}
	rules := set.Match(envelope)
	if len(s.Rules) > 0 {
		rules = slices.DeleteFunc(rules, func(name string) bool { return !slices.Contains(s.Rules, name) })
	}
	return rules, nil
}
