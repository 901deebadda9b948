package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// A replay is an [eventlog.Replay] and its progress.
type replay struct {
	eventlog.Replay
	cursor, last int64 // the number of the last event passed on, and of the last to be
}

// Replay begins a replay: the events of s that are in the log now are delivered again, in order. It
// returns once the replay is on disk; [Bus.Run] makes the deliveries, behind all new ones, and
// continues after a crash. For each replay name an event is made pending for a rule once, and like
// any delivery it is delivered at least once. A faulty request is an error of [eventlog.ErrReplay]; so is a
// known name, so that a repeated request after another error does nothing twice.
func (b *Bus) Replay(ctx context.Context, name string, s eventlog.Selection) error {
	if err := eventlog.CheckReplayName(name); err != nil {
		return err
	}
	queues := b.routes.Load().queues
	for _, rule := range s.Rules {
		if queues[rule] == nil {
			return fmt.Errorf("%w: rule %q is not configured", eventlog.ErrReplay, rule)
		}
	}
	after, last, err := bounds(ctx, b.db, s)
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
			err = fmt.Errorf("%w: name %q: a replay of that name exists", eventlog.ErrReplay, name)
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
			err = fmt.Errorf("%w: %q: no replay of that name runs", eventlog.ErrReplay, name)
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
func Replays(ctx context.Context, db *disk.DB) ([]eventlog.Replay, error) {
	rows, err := db.Query(ctx, `SELECT `+replayColumns+`,
		(SELECT count(*) FROM deliveries WHERE deliveries.replay <> '' AND deliveries.replay = name),
		(SELECT count(*) FROM dead_letters WHERE dead_letters.replay = name)
		FROM replays ORDER BY begun DESC, name`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (eventlog.Replay, error) {
		var pending, dead int
		r, err := scanReplay(rows, &pending, &dead)
		r.Pending, r.Dead = pending, dead
		return r.Replay, err
	})
}

const replayColumns = `name, since, until, rules, pattern, launch, cursor, last, begun, ended, cancelled, events, deliveries`

// scanReplay reads a replay from [replayColumns], and further columns of the query into pending and
// dead.
func scanReplay(row row, counts ...any) (r replay, err error) {
	var since, until, begun, ended int64
	var rules, text string
	var cancelled bool
	dest := []any{&r.Name, &since, &until, &rules, &text, &r.Launch, &r.cursor, &r.last, &begun, &ended, &cancelled, &r.Events, &r.Deliveries}
	if err := row.Scan(append(dest, counts...)...); err != nil {
		return r, err
	}
	r.From, r.To, r.Begun = milli(since), milli(until), milli(begun)
	switch {
	case ended == 0:
		r.State, r.Ahead = eventlog.ReplayRunning, r.last-r.cursor
	case cancelled:
		r.State, r.Ended = eventlog.ReplayCancelled, milli(ended)
	default:
		r.State, r.Ended = eventlog.ReplayCompleted, milli(ended)
	}
	if text != "" {
		if r.Pattern, err = pattern.Parse([]byte(text)); err != nil {
			return r, fmt.Errorf("replay %q: pattern: %w", r.Name, err)
		}
	}
	r.Rules, err = list(rules)
	return r, err
}
