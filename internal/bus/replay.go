package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// Replay states.
const (
	ReplayRunning   = "running"
	ReplayCompleted = "completed"
	ReplayCancelled = "cancelled"
)

// A Replay is a selection that is being replayed, or the record of one that ended.
type Replay struct {
	Name string `json:"name"`
	Selection
	State      string    `json:"state"`
	Begun      time.Time `json:"begun"`
	Ended      time.Time `json:"ended"`      // zero while it runs
	Ahead      int64     `json:"ahead"`      // upper bound of the events that it has not looked at yet
	Events     int       `json:"events"`     // matched a rule so far
	Deliveries int       `json:"deliveries"` // made for these
	Pending    int       `json:"pending"`    // of these deliveries
	Dead       int       `json:"dead"`       // of these deliveries, those with a dead letter

	cursor, last int64 // the number of the last event passed on, and of the last to be
}

// ErrReplay means that a replay, or a change of one, is refused; its text says why.
var ErrReplay = errors.New("replay refused")

// replayName matches the names that EventBridge allows.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
var replayName = regexp.MustCompile(`^[-._A-Za-z0-9]{1,64}$`)

// CheckReplayName returns why a replay cannot have this name, here or at EventBridge.
func CheckReplayName(name string) error {
	if !replayName.MatchString(name) {
		return fmt.Errorf("%w: name %q: want letters, digits, dots, dashes and underscores, 64 at most", ErrReplay, name)
	}
	return nil
}

// Replay begins a replay: the events of s that are in the log now are delivered again, in order. It
// returns once the replay is on disk; [Bus.Run] makes the deliveries, behind all new ones, and
// continues after a crash. For each replay name an event is made pending for a rule once, and like
// any delivery it is delivered at least once. A faulty request is an error of [ErrReplay]; so is a
// known name, so that a repeated request after another error does nothing twice.
func (b *Bus) Replay(ctx context.Context, name string, s Selection) error {
	if err := CheckReplayName(name); err != nil {
		return err
	}
	queues := b.routes.Load().queues
	for _, rule := range s.Rules {
		if queues[rule] == nil {
			return fmt.Errorf("%w: rule %q is not configured", ErrReplay, rule)
		}
	}
	after, last, err := s.bounds(ctx, b.db)
	if err != nil {
		return err
	}
	text := ""
	if s.Pattern != nil {
		text = s.Pattern.String()
	}
	if s.To.IsZero() {
		s.To = b.now()
	}
	defer b.feedMore()
	return b.db.Write(ctx, func(tx *disk.Tx) error {
		n, err := tx.Exec(`INSERT INTO replays (name, since, until, rules, pattern, launch, cursor, last, begun, ended, cancelled, events, deliveries)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0) ON CONFLICT DO NOTHING`,
			name, s.From.UnixMilli(), s.To.UnixMilli(), texts(s.Rules), text, s.Launch, after, last, b.now().UnixMilli())
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: name %q: a replay of that name exists", ErrReplay, name)
		}
		return err
	})
}

// CancelReplay ends a running replay: its pending deliveries are deleted, and those in flight are
// not retried. What was delivered stays delivered.
func (b *Bus) CancelReplay(ctx context.Context, name string) error {
	return b.db.Write(ctx, func(tx *disk.Tx) error {
		n, err := tx.Exec(`UPDATE replays SET ended = ?, cancelled = 1 WHERE name = ? AND ended = 0`, b.now().UnixMilli(), name)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: %q: no replay of that name runs", ErrReplay, name)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM deliveries WHERE replay = ?`, name); err != nil {
			return err
		}
		// Windows in memory may contain what was just deleted.
		for _, q := range b.routes.Load().queues {
			if err := q.refill(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// isCancelled reports whether the replay of that name was cancelled.
func isCancelled(tx *disk.Tx, replay string) (cancelled bool, err error) {
	if replay == "" {
		return false, nil
	}
	err = tx.QueryRow(`SELECT cancelled FROM replays WHERE name = ?`, replay).Scan(&cancelled)
	if errors.Is(err, sql.ErrNoRows) { // the replay expired: this is a dead letter of it that was retried
		err = nil
	}
	return cancelled, err
}

// Replays returns the running replays and those that ended within their retention, newest first.
func Replays(ctx context.Context, db *disk.DB) ([]Replay, error) {
	rows, err := db.Query(ctx, `SELECT `+replayColumns+`,
		(SELECT count(*) FROM deliveries WHERE deliveries.replay <> '' AND deliveries.replay = name),
		(SELECT count(*) FROM dead_letters WHERE dead_letters.replay = name)
		FROM replays ORDER BY begun DESC, name`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (r Replay, err error) { return scanReplay(rows, &r.Pending, &r.Dead) })
}

const replayColumns = `name, since, until, rules, pattern, launch, cursor, last, begun, ended, cancelled, events, deliveries`

// scanReplay reads a replay from [replayColumns], and further columns of the query into pending and
// dead.
func scanReplay(row row, counts ...*int) (r Replay, err error) {
	var since, until, begun, ended int64
	var rules, text string
	var cancelled bool
	var pending, dead int
	dest := []any{&r.Name, &since, &until, &rules, &text, &r.Launch, &r.cursor, &r.last, &begun, &ended, &cancelled, &r.Events, &r.Deliveries}
	if len(counts) > 0 {
		dest = append(dest, &pending, &dead)
	}
	if err := row.Scan(dest...); err != nil {
		return r, err
	}
	r.From, r.To, r.Begun, r.Pending, r.Dead = milli(since), milli(until), milli(begun), pending, dead
	switch {
	case ended == 0:
		r.State, r.Ahead = ReplayRunning, r.last-r.cursor
	case cancelled:
		r.State, r.Ended = ReplayCancelled, milli(ended)
	default:
		r.State, r.Ended = ReplayCompleted, milli(ended)
	}
	if text != "" {
		if r.Pattern, err = pattern.Parse([]byte(text)); err != nil {
			return r, fmt.Errorf("replay %q: pattern: %w", r.Name, err)
		}
	}
	r.Rules, err = list(rules)
	return r, err
}
