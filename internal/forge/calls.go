package forge

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrSpent is the error of a call beyond those that its context allows.
var ErrSpent = errors.New("no more calls are allowed for this")

type callsKey struct{}

// WithCalls returns a context for at most n calls, so that what looks through much leaves
// the forge's hourly limit to others.
func WithCalls(ctx context.Context, n int64) context.Context {
	left := new(atomic.Int64)
	left.Store(n)
	return context.WithValue(ctx, callsKey{}, left)
}

// Spend takes one call of what ctx allows, and reports whether there was one.
func Spend(ctx context.Context) bool {
	left, bounded := ctx.Value(callsKey{}).(*atomic.Int64)
	return !bounded || left.Add(-1) >= 0
}
