package wire

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Span is a pause of random length.
type Span struct{ Least, Most time.Duration }

// Pick is a length that s may have.
func (s Span) Pick() time.Duration {
	if s.Most <= s.Least {
		return s.Least
	}
	return s.Least + rand.N(s.Most-s.Least)
}

// Wait waits for as long as s may be, or until ctx ends, and returns ctx's error.
func (s Span) Wait(ctx context.Context) error { return Sleep(ctx, s.Pick()) }

// Sleep waits for d, or until ctx ends, and returns ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempts is how often a call is made that may be repeated (RunnerService.cs).
const attempts = 5

// Retry makes a call up to five times, with pauses of s between, until it
// succeeds, its error is final, or ctx ends; it returns the last error.
func (s Span) Retry(ctx context.Context, final func(error) bool, call func() error) error {
	for i := 1; ; i++ {
		err := call()
		if err == nil || i == attempts || final(err) || s.Wait(ctx) != nil {
			return err
		}
	}
}
