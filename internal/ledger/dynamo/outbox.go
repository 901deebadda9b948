package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// sendGrace is how long the process that stored effects may take to send them before others do.
const sendGrace = 15 * time.Second

// An outboxEffect is the stored form of an effect.
type outboxEffect struct {
	Type   string          `json:"type"`
	Detail json.RawMessage `json:"detail"`
}

// outboxItem returns the outbox's item for w's effects.
func outboxItem(w write) (item, error) {
	var encoded []outboxEffect
	for _, e := range w.effects {
		detail, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encoding an effect %q: %w", e.DetailType(), err)
		}
		encoded = append(encoded, outboxEffect{e.DetailType(), detail})
	}
	body, err := json.Marshal(encoded)
	it := keyOf(partOutbox, byVersion(w.head.version))
	it[attrBody], it[attrAt] = text(string(body)), number(uint64(w.now.UnixMilli()))
	return it, err
}

// decodeEffects returns the effects of an item of the outbox.
func decodeEffects(it item) (effects []ledger.Effect, err error) {
	var encoded []outboxEffect
	if err := json.Unmarshal([]byte(textOf(it, attrBody)), &encoded); err != nil {
		return nil, fmt.Errorf("decoding effects of version %s: %w", textOf(it, KeySort), err)
	}
	for _, l := range encoded {
		e, err := ledger.ParseEffect(l.Type, l.Detail)
		if err != nil {
			return nil, fmt.Errorf("decoding effects of version %s: %w", textOf(it, KeySort), err)
		}
		effects = append(effects, e)
	}
	return effects, nil
}

// sendEffects sends the effects of w, which was just written, and those left from earlier writes.
// An error is only logged: the input is applied, and the effects stay in the outbox for the next
// one.
func (l *Ledger) sendEffects(ctx context.Context, w write) {
	var err error
	switch {
	case l.unsent:
		err = l.flush(ctx, 0)
	case len(w.effects) > 0:
		err = l.send(ctx, keyOf(partOutbox, byVersion(w.head.version)), w.effects)
	}
	l.unsent = err != nil
	if err != nil {
		l.config.Log.Error("sending effects: they are sent with the next input", "err", err)
	}
}

// Flush sends effects that have been in the outbox for longer than their sender should take. A
// sweep calls it, because a process may end between storing and sending.
func (l *Ledger) Flush(ctx context.Context) error {
	release, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := l.flush(ctx, sendGrace); err != nil {
		return fmt.Errorf("ledger: sending effects that were left: %w", err)
	}
	return nil
}

// flush sends the effects stored longer than age ago, the oldest first.
func (l *Ledger) flush(ctx context.Context, age time.Duration) error {
	before := l.config.Now().Add(-age).UnixMilli()
	return l.table.query(ctx, partition(partOutbox), func(it item) (bool, error) {
		if numberOf(it, attrAt) > uint64(before) {
			return true, nil
		}
		effects, err := decodeEffects(it)
		if err != nil {
			return false, err
		}
		return true, l.send(ctx, keyOf(textOf(it, KeyPartition), textOf(it, KeySort)), effects)
	})
}

// send sends the effects of entry and then removes it. If it ends in between, they are sent twice,
// never lost.
func (l *Ledger) send(ctx context.Context, entry item, effects []ledger.Effect) error {
	if err := l.config.Emit(ctx, effects); err != nil {
		return fmt.Errorf("%d effects: %w", len(effects), err)
	}
	_, err := l.table.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &l.table.name, Key: entry})
	return err
}
