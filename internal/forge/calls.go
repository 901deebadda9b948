package forge

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrSpent is the error of a call beyond those that its context allows.
var ErrSpent = errors.New("no more calls are allowed for this")

type callsKey struct{}

// WithCalls returns a context for at most n calls, so that a long search leaves calls of the
// forge's hourly limit to others.
func WithCalls(ctx context.Context, n int64) context.Context {
	left := new(atomic.Int64)
	left.Store(n)
	return context.WithValue(ctx, callsKey{}, left)
}

// Spend counts one call against the limit of ctx, and reports whether it is allowed.
func Spend(ctx context.Context) bool {
	left, bounded := ctx.Value(callsKey{}).(*atomic.Int64)
	return !bounded || left.Add(-1) >= 0
}
