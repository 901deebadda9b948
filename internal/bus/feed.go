package bus

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// maxFed is how many deliveries of a replay are pending at once, so that new events and other
// replays wait little for it.
const maxFed = 200

// feed passes the events of running replays to rules, until ctx ends.
func (b *Bus) feed(ctx context.Context) {
	for ctx.Err() == nil {
		more := false
		b.insist(ctx, "replaying events", func() (err error) {
			more, err = b.feedAll(ctx)
			return err
		})
		if more {
			continue
		}
		select {
		case <-b.feeding:
		case <-ctx.Done():
		}
	}
}

// feedMore wakes the feeder.
func (b *Bus) feedMore() {
	select {
	case b.feeding <- struct{}{}:
	default:
	}
}

// feedAll advances each replay by one step, and reports whether one can advance again at once.
func (b *Bus) feedAll(ctx context.Context) (more bool, err error) {
	rows, err := b.db.Query(ctx, `SELECT `+replayColumns+` FROM replays WHERE ended = 0 ORDER BY begun, name`)
	if err != nil {
		return false, err
	}
	running, err := collect(rows, func() (replay, error) { return scanReplay(rows) })
	for _, r := range running {
		moved, stepErr := b.feedOne(ctx, r)
		more, err = more || moved, errors.Join(err, stepErr)
	}
	return more, err
}

// feedOne advances r by one step, unless enough of it is pending. A replay ends once all of its
// deliveries are settled.
func (b *Bus) feedOne(ctx context.Context, r replay) (moved bool, err error) {
	var pending int
	err = b.db.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE replay <> '' AND replay = ?`, r.Name).Scan(&pending)
	switch {
	case err != nil, pending >= maxFed:
		return false, err
	case r.cursor < r.last:
		return b.feedBatch(ctx, r)
	case pending == 0:
		return false, b.db.Write(ctx, func(tx *disk.Tx) error {
			_, err := tx.Exec(`UPDATE replays SET ended = ? WHERE name = ? AND ended = 0`, b.now().UnixMilli(), r.Name)
			return err
		})
	}
	return false, nil
}

// feedBatch makes the deliveries of r's next events pending and moves its cursor behind them, in
// one transaction: none is made twice and none is omitted, whenever the process ends.
func (b *Bus) feedBatch(ctx context.Context, r replay) (moved bool, err error) {
	routes, now := b.routes.Load(), b.now().UnixMilli()
	batch, cursor, err := batchAfter(ctx, b.db, r.cursor, r.last)
	if err != nil {
		return false, err
	}
	var made []delivery
	events := 0
	for _, s := range batch {
		rules, err := pick(r.Selection, routes.set, r.Name, s.Event)
		if err != nil {
			return false, err
		}
		for _, rule := range rules {
			d := newDelivery(routes.queues[rule], s.Seq)
			d.replay, d.due, d.since = r.Name, now, now
			made = append(made, d)
		}
		events += min(len(rules), 1)
	}
	err = b.db.Write(ctx, func(tx *disk.Tx) error {
		if b.routes.Load() != routes {
			return nil // the rules were changed meanwhile: match again
		}
		n, err := tx.Exec(`UPDATE replays SET cursor = ?, events = events + ?, deliveries = deliveries + ? WHERE name = ? AND cursor = ? AND ended = 0`,
			cursor, events, len(made), r.Name, r.cursor)
		if err != nil || n == 0 { // cancelled meanwhile
			return err
		}
		return b.addReplayed(tx, made)
	})
	return err == nil, err
}

// addReplayed makes deliveries of a replay pending.
func (b *Bus) addReplayed(tx *disk.Tx, made []delivery) error {
	for _, d := range made {
		if err := addPending(tx, d); err != nil {
			return err
		}
		tx.OnCommit(func() {
			b.Counters.Replayed.Add(1)
			d.queue.add(d)
		})
	}
	return nil
}
