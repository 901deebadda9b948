package dynamo

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Keep writes a result that no input led to.
func (l *Ledger) Keep(ctx context.Context, result ledger.Result) error {
	if err := l.refresh(ctx); err != nil {
		return err
	}
	w := l.cache.write(nil, result)
	w.now = l.config.Now()
	if err := l.commit(ctx, w); err != nil {
		return err
	}
	l.cache.advance(w.head, w.after)
	return nil
}

// LogKey is the key of the log's entry of version.
func LogKey(version uint64) item { return keyOf(partLog, byVersion(version)) }

// Inspect returns whether an item is a job or a runner, whether that is finished, and when it expires.
func Inspect(it item) (kind string, finished bool, expires time.Time) {
	if at := numberOf(it, TTL); at > 0 {
		expires = time.Unix(int64(at), 0)
	}
	return textOf(it, KeyKind), textOf(it, KeyPartition) == textOf(it, KeySort), expires
}

// Partition returns where an item lies.
func Partition(it item) string { return textOf(it, KeyPartition) }
