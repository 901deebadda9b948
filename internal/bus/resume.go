package bus

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// resume continues where the previous bus ended.
func (b *Bus) resume(tx *disk.Tx) error {
	// Numbers are never given twice: a dead letter would refer to another event, and a follower of
	// the log by number would skip one.
	err := tx.QueryRow(`SELECT max(removed, (SELECT coalesce(max(seq), 0) FROM events),
		(SELECT coalesce(max(seq), 0) FROM dead_letters)) FROM log`).Scan(&b.seq)
	if err != nil {
		return err
	}
	if b.bytes, err = logEnd(tx.QueryRow); err != nil {
		return err
	}
	if err := b.buryOrphans(tx); err != nil {
		return err
	}
	for _, q := range b.routes.Load().queues {
		if err := q.refill(tx); err != nil {
			return err
		}
	}
	return nil
}

// buryOrphans moves pending deliveries of removed rules to the dead letters.
func (b *Bus) buryOrphans(tx *disk.Tx) error {
	known, err := json.Marshal(slices.AppendSeq([]string{}, maps.Keys(b.routes.Load().queues)))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO dead_letters (seq, rule, replay, attempts, reason, died)
		SELECT seq, rule, replay, attempts, 'rule is no longer configured', ? FROM deliveries
		WHERE rule NOT IN (SELECT value FROM json_each(?)) ON CONFLICT DO NOTHING`, b.now().UnixMilli(), string(known))
	if err != nil {
		return err
	}
	buried, err := tx.Exec(`DELETE FROM deliveries WHERE rule NOT IN (SELECT value FROM json_each(?))`, string(known))
	if buried > 0 {
		b.log.Warn("deliveries of removed rules are now dead letters", "deliveries", buried)
	}
	return err
}
