package bus

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A Batch is a target that takes events together, in the order in which they are due and at most [MaxBatch]. errs[i] is
// what became of events[i], as the error of a [Target]: an event that cannot be taken keeps no other from being
// taken. All else is as for a Target.
type Batch func(ctx context.Context, events []event.Event) (errs []error)

// MaxBatch is how many events a [Batch] is called with at most: those who publish meanwhile wait for what it writes,
// a few milliseconds.
const MaxBatch = 32

// While events are published and a backlog waits, a Batch has one part of the time in yieldShare+1, so that it does not
// slow down those who publish: they wait for an answer, the backlog does not. A pause is yieldMost at most, and ends when
// nothing was published for yieldStep.
const (
	yieldShare = 9
	yieldStep  = 2 * time.Millisecond
	yieldMost  = 100 * time.Millisecond
)

// yield lets others publish after a call that took some time.
func (b *Bus) yield(ctx context.Context, took time.Duration) {
	step := time.NewTimer(yieldStep)
	defer step.Stop()
	for left := min(yieldShare*took, yieldMost); left > 0; left -= yieldStep {
		before := b.Counters.Published.Load()
		step.Reset(yieldStep)
		select {
		case <-step.C:
		case <-ctx.Done():
			return
		}
		if b.Counters.Published.Load() == before {
			return
		}
	}
}
