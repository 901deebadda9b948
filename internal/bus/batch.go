package bus

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A Batch is a target that takes events together, in the order in which they are due and at most [MaxBatch]. errs[i] is
// what became of events[i], as the error of a [Target]: an event that cannot be taken keeps no other from being
// taken. All else is as for a Target.
type Batch func(ctx context.Context, events []event.Event) (errs []error)

// MaxBatch is how many events a [Batch] is called with at most.
const MaxBatch = 100
