package bus

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

const (
	expireEvery = time.Hour
	expireBatch = 100 // events looked at in one write, so that others wait little for it
)

// clean removes what has been kept long enough, until ctx ends.
func (b *Bus) clean(ctx context.Context) {
	for {
		if err := b.expire(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("removing old events", "err", err)
		}
		select {
		case <-time.After(expireEvery):
		case <-ctx.Done():
			return
		}
	}
}

// expire removes dead letters, replays and what is in quarantine past their retention, then events past
// theirs that nothing refers to.
func (b *Bus) expire(ctx context.Context) error {
	err := b.db.Write(ctx, func(tx *disk.Tx) error {
		limit := b.now().Add(-letterRetention).UnixMilli()
		_, err1 := tx.Exec(`DELETE FROM dead_letters WHERE died < ?`, limit)
		_, err2 := tx.Exec(`DELETE FROM replays WHERE ended > 0 AND ended < ?`, limit)
		_, err3 := tx.Exec(`DELETE FROM quarantine WHERE at < ?`, limit)
		return errors.Join(err1, err2, err3)
	})
	for seq, more := int64(0), true; more && err == nil; {
		err = b.db.Write(ctx, func(tx *disk.Tx) error {
			seq, more, err = expireEvents(tx, seq, b.now().Add(-b.retention))
			return err
		})
	}
	return err
}

// expireEvents looks at the events after number from, of which it removes those
// published before limit. It returns the last one it looked at and whether
// there may be more to remove after it.
func expireEvents(tx *disk.Tx, from int64, limit time.Time) (to int64, more bool, err error) {
	// Events are published in the order of their numbers, so the first that is
	// young, pending, or ahead of a replay that runs, ends the search.
	var n int
	err = tx.QueryRow(`SELECT count(*), coalesce(max(seq), 0) FROM (
		SELECT seq, published FROM events
		WHERE seq > ? AND seq < (SELECT coalesce(min(seq), 9223372036854775807) FROM deliveries)
		AND seq <= (SELECT coalesce(min(cursor), 9223372036854775807) FROM replays WHERE ended = 0)
		ORDER BY seq LIMIT ?) WHERE published < ?`, from, expireBatch, limit.UnixMilli()).Scan(&n, &to)
	if err != nil || n == 0 {
		return to, false, err
	}
	_, err = tx.Exec(`DELETE FROM events WHERE seq > ? AND seq <= ? AND published < ?
		AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.seq = events.seq)`, from, to, limit.UnixMilli())
	return to, n == expireBatch, err
}
