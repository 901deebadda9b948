package bus

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Publish stores e and a pending delivery for each rule that matches it, and returns once both are
// on disk. e.Detail must be valid JSON, which is not checked again, and must not be changed
// afterwards. An event whose id was published within the retention changes nothing and is not
// fresh. After an error e may or may not be stored; publishing it again is harmless. The error is
// disk.ErrFull if there is no space.
func (b *Bus) Publish(ctx context.Context, e event.Event) (fresh bool, err error) {
	// Matching needs no transaction, so it is done before, where it runs in parallel.
	routes := b.routes.Load()
	matching, err := routes.match(e)
	if err != nil {
		return false, err
	}
	err = b.db.Write(ctx, func(tx *disk.Tx) error {
		if now := b.routes.Load(); now != routes { // the rules were changed meanwhile
			if matching, err = now.match(e); err != nil {
				return err
			}
		}
		fresh, err = b.publish(tx, e, matching)
		return err
	})
	return fresh && err == nil, err
}

// PublishTx is [Bus.Publish] as part of a transaction: e is published if and only if tx commits.
func (b *Bus) PublishTx(tx *disk.Tx, e event.Event) (fresh bool, err error) {
	matching, err := b.routes.Load().match(e)
	if err != nil {
		return false, err
	}
	return b.publish(tx, e, matching)
}

func (b *Bus) publish(tx *disk.Tx, e event.Event, matching []*queue) (fresh bool, err error) {
	seq, now := b.seq+1, b.now()
	fresh, err = insert(tx, seq, b.bytes, e, now)
	if err != nil {
		return false, err
	}
	if !fresh {
		tx.OnCommit(func() { b.Counters.Duplicates.Add(1) })
		return false, nil
	}
	b.seq, b.bytes = seq, b.bytes+int64(len(e.Detail))
	if b.maxSize > 0 && b.bytes-b.cleaned > b.maxSize/slack {
		b.cleaned = b.bytes
		tx.OnCommit(b.cleanMore)
	}
	for _, q := range matching {
		if err := addPending(tx, newDelivery(q, seq)); err != nil {
			return false, err
		}
	}
	tx.OnCommit(func() {
		b.Counters.Published.Add(1)
		if len(matching) > 0 {
			b.recent.add(eventlog.Stored{Seq: seq, Published: now, Event: e})
		}
		for _, q := range matching {
			q.add(newDelivery(q, seq))
		}
	})
	return true, nil
}
