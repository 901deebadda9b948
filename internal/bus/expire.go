package bus

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

const (
	expireEvery = time.Hour
	expireBatch = 100 // events per write, so that other writes wait little
	slack       = 8   // the log is cleaned when it has grown by MaxSize/slack, and shrunk to that much below MaxSize
)

// clean deletes events past their retention or beyond MaxSize, until ctx ends.
func (b *Bus) clean(ctx context.Context) {
	for {
		if err := errors.Join(b.expire(ctx), b.shrink(ctx)); err != nil && ctx.Err() == nil {
			b.log.Error("removing old events", "err", err)
		}
		select {
		case <-time.After(expireEvery):
		case <-b.grown:
		case <-ctx.Done():
			return
		}
	}
}

// cleanMore requests cleaning now.
func (b *Bus) cleanMore() {
	select {
	case b.grown <- struct{}{}:
	default:
	}
}

// expire deletes dead letters, replays and quarantined events past their retention, and then
// unreferenced events past theirs.
func (b *Bus) expire(ctx context.Context) error {
	err := b.db.Write(ctx, func(tx *disk.Tx) error {
		limit := b.now().Add(-letterRetention).UnixMilli()
		_, err1 := tx.Exec(`DELETE FROM dead_letters WHERE died < ?`, limit)
		_, err2 := tx.Exec(`DELETE FROM replays WHERE ended > 0 AND ended < ?`, limit)
		_, err3 := tx.Exec(`DELETE FROM quarantine WHERE at < ?`, limit)
		return errors.Join(err1, err2, err3)
	})
	return errors.Join(err, b.inBatches(ctx, 0, func(tx *disk.Tx, from int64) (int64, bool, error) {
		return expireEvents(tx, from, b.now().Add(-b.retention))
	}))
}

// shrink deletes the details of the oldest events if the log is too large.
func (b *Bus) shrink(ctx context.Context) error {
	if b.maxSize == 0 {
		return nil
	}
	end, err := logEnd(func(query string, args ...any) *sql.Row { return b.db.QueryRow(ctx, query, args...) })
	if err != nil {
		return err
	}
	last, err := lastWith(ctx, b.db, "start", end-b.maxSize+b.maxSize/slack)
	if err != nil {
		return err
	}
	var cut int64
	if err := b.db.QueryRow(ctx, `SELECT cut FROM log`).Scan(&cut); err != nil || cut >= last {
		return err
	}
	return b.inBatches(ctx, cut, func(tx *disk.Tx, from int64) (int64, bool, error) { return cutEvents(tx, from, last) })
}

// inBatches calls f with the number where the last call stopped, each time in its own write, until
// there is no more.
func (b *Bus) inBatches(ctx context.Context, from int64, f func(tx *disk.Tx, from int64) (to int64, more bool, err error)) (err error) {
	for more := true; more && err == nil; {
		err = b.db.Write(ctx, func(tx *disk.Tx) (err error) {
			from, more, err = f(tx, from)
			return err
		})
	}
	return err
}

// free is the condition of events below every pending delivery and behind the cursor of every
// running replay. Events are numbered in publishing order, so the first one still needed ends the
// search.
const free = `seq < (SELECT coalesce(min(seq), 9223372036854775807) FROM deliveries)
	AND seq <= (SELECT coalesce(min(cursor), 9223372036854775807) FROM replays WHERE ended = 0)`

// noLetter is the condition of events without a dead letter, whose retry needs them.
const noLetter = `seq NOT IN (SELECT seq FROM dead_letters)`

// nextFree looks at the free events after from, up to last, that were published before limit. It
// returns the last one it looked at and whether there may be more.
func nextFree(tx *disk.Tx, from, last int64, limit int64) (to int64, more bool, err error) {
	var n int
	err = tx.QueryRow(`SELECT count(*), coalesce(max(seq), 0) FROM (
		SELECT seq, published FROM events WHERE seq > ? AND seq <= ? AND `+free+` ORDER BY seq LIMIT ?)
		WHERE published < ?`, from, last, expireBatch, limit).Scan(&n, &to)
	return to, n == expireBatch, err
}

// expireEvents deletes the free events after from that were published before limit. It returns the
// last one it looked at and whether there may be more.
func expireEvents(tx *disk.Tx, from int64, limit time.Time) (to int64, more bool, err error) {
	to, more, err = nextFree(tx, from, math.MaxInt64, limit.UnixMilli())
	if err != nil || to == 0 {
		return to, false, err
	}
	_, err1 := tx.Exec(`DELETE FROM events WHERE seq > ? AND seq <= ? AND published < ? AND `+noLetter, from, to, limit.UnixMilli())
	_, err2 := tx.Exec(`DELETE FROM details WHERE seq > ? AND seq <= ? AND seq NOT IN (SELECT seq FROM events)`, from, to)
	// Numbers up to removed are never given again: see resume.
	_, err3 := tx.Exec(`UPDATE log SET removed = max(removed, ?)`, to)
	return to, more, errors.Join(err1, err2, err3)
}

// cutEvents deletes the details of the free events after from, up to last. It returns as
// [expireEvents].
func cutEvents(tx *disk.Tx, from, last int64) (to int64, more bool, err error) {
	to, more, err = nextFree(tx, from, last, math.MaxInt64)
	if err != nil || to == 0 {
		return to, false, err
	}
	_, err1 := tx.Exec(`DELETE FROM details WHERE seq > ? AND seq <= ? AND `+noLetter, from, to)
	_, err2 := tx.Exec(`UPDATE log SET cut = ?`, to)
	return to, more, errors.Join(err1, err2)
}

// logEnd returns how many bytes of details were published, according to the newest event.
func logEnd(query func(string, ...any) *sql.Row) (end int64, err error) {
	err = query(`SELECT coalesce(max(start + size), 0) FROM (SELECT start, size FROM events ORDER BY seq DESC LIMIT 1)`).Scan(&end)
	return end, err
}
