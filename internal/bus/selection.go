package bus

import (
	"context"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// A Selection says which events of the log are delivered once more, and to which rules.
// Its zero value is all of them, to the rules that match replayed events.
type Selection struct {
	From    time.Time        `json:"from"`              // published then or later
	To      time.Time        `json:"to"`                // published before that; zero for all there are
	Rules   []string         `json:"rules,omitempty"`   // names; none stands for all
	Pattern *pattern.Pattern `json:"pattern,omitempty"` // of the events as they were published; nil for all

	// Launch has events matched by rules as if they were new. Without it they are matched
	// with their replay-name, so that a rule that asks for events without one, as those
	// do that start runners, does not match.
	Launch bool `json:"launch"`
}

// A Preview is what a replay would do.
type Preview struct {
	Events     int            `json:"events"`     // that match a rule
	Dropped    int            `json:"dropped"`    // of which the log has no detail any more, see Config.MaxSize
	Deliveries map[string]int `json:"deliveries"` // by rule
}

// Preview tells what a replay of s to rules would do. It changes nothing.
func (s Selection) Preview(ctx context.Context, db *disk.DB, rules []Rule) (Preview, error) {
	p := Preview{Deliveries: map[string]int{}}
	set := newRoutes(rules, nil, nil).set
	err := s.Each(ctx, db, func(e Stored) error {
		if len(e.Event.Detail) == 0 {
			p.Dropped++
			return nil
		}
		picked, err := s.pick(set, "preview", e.Event)
		for _, rule := range picked {
			p.Deliveries[rule]++
		}
		p.Events += min(len(picked), 1)
		return err
	})
	return p, err
}

// selectionBatch is how many events are read at once: small enough for memory, whatever
// is in them.
const selectionBatch = 100

// Each calls f with each event of the log between From and To, in the order of
// publishing, until it returns an error. Pattern and Rules do not count.
func (s Selection) Each(ctx context.Context, db *disk.DB, f func(Stored) error) error {
	after, last, err := s.bounds(ctx, db)
	for err == nil && after < last {
		var batch []Stored
		batch, after, err = batchAfter(ctx, db, after, last)
		for _, e := range batch {
			if err := f(e); err != nil {
				return err
			}
		}
	}
	return err
}

// batchAfter reads the next events after a number, up to another, and returns the number
// to go on after.
func batchAfter(ctx context.Context, db *disk.DB, after, last int64) ([]Stored, int64, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM `+whole+` WHERE events.seq > ? AND events.seq <= ? ORDER BY events.seq LIMIT ?`, after, last, selectionBatch)
	if err != nil {
		return nil, after, err
	}
	batch, err := collect(rows, func() (Stored, error) { return scan(rows) })
	if len(batch) == selectionBatch {
		last = batch[len(batch)-1].Seq
	}
	return batch, last, err
}

// bounds finds the events of s, which are those after one number up to another.
func (s Selection) bounds(ctx context.Context, db *disk.DB) (after, last int64, err error) {
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

// lastBefore returns the number of the last event that was published before t.
func lastBefore(ctx context.Context, db *disk.DB, t time.Time) (int64, error) {
	return lastWith(ctx, db, "published", unixMilli(t))
}

// lastWith returns the number of the last event with less than limit in a column that
// grows with the numbers of events, so that few of them must be looked at.
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

// pick returns the rules of set that s sends an event to, as a replay of that name.
func (s Selection) pick(set *pattern.Set, replay string, e event.Event) ([]string, error) {
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
