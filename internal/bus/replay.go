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

// A Replay is a selection under way, or what is known of one that has ended.
type Replay struct {
	Name string `json:"name"`
	Selection
	State      string    `json:"state"`
	Begun      time.Time `json:"begun"`
	Ended      time.Time `json:"ended"`      // zero while it runs
	Ahead      int64     `json:"ahead"`      // events of the log that it has still to look at, at most
	Events     int       `json:"events"`     // that matched a rule so far
	Deliveries int       `json:"deliveries"` // made of these
	Pending    int       `json:"pending"`    // of these
	Dead       int       `json:"dead"`       // of these, with a dead letter

	cursor, last int64 // the numbers of the last event handed on, and of the last to be
}

// ErrReplay is what a replay is refused with, or a change of one: its text says why.
var ErrReplay = errors.New("replay refused")

// replayName is what EventBridge lets a replay be called.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
var replayName = regexp.MustCompile(`^[-._A-Za-z0-9]{1,64}$`)

// CheckReplayName says what keeps a replay from being called so, here and by EventBridge.
func CheckReplayName(name string) error {
	if !replayName.MatchString(name) {
		return fmt.Errorf("%w: name %q: want letters, digits, dots, dashes and underscores, 64 at most", ErrReplay, name)
	}
	return nil
}

// Replay begins a replay: the events of s, as they are in the log now, are delivered once
// more, in their order. It returns when that is on disk; [Bus.Run] does the rest, also
// after a crash, behind all that is new. An event comes to a rule once for each name, and
// as any delivery at least once. An error of [ErrReplay] says what is wrong; a name that
// was given before is, so that asking again after another error does nothing twice.
func (b *Bus) Replay(ctx context.Context, name string, s Selection) error {
	if err := CheckReplayName(name); err != nil {
		return err
	}
	queues := b.routes.Load().queues
	for _, rule := range s.Rules {
		if queues[rule] == nil {
			return fmt.Errorf("%w: rule %q: want one that is there", ErrReplay, rule)
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
			err = fmt.Errorf("%w: name %q: there is one of that name", ErrReplay, name)
		}
		return err
	})
}

// CancelReplay ends a replay that runs: what is pending of it is forgotten, and what is
// under way is not tried again. What was delivered stays delivered.
func (b *Bus) CancelReplay(ctx context.Context, name string) error {
	return b.db.Write(ctx, func(tx *disk.Tx) error {
		n, err := tx.Exec(`UPDATE replays SET ended = ?, cancelled = 1 WHERE name = ? AND ended = 0`, b.now().UnixMilli(), name)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: %q: want one that runs", ErrReplay, name)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM deliveries WHERE replay = ?`, name); err != nil {
			return err
		}
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
	if errors.Is(err, sql.ErrNoRows) { // long over: this is of a letter that was retried
		err = nil
	}
	return cancelled, err
}

// Replays reads the replays that run, and those that have ended in the last days, the newest first.
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

// scanReplay reads a replay from [replayColumns] and what else the query has, into pending and dead.
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
