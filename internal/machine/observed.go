package machine

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

// An observedStore is the machine's one ledger. Hear is called with each input and its result, so
// that no input bypasses the metrics and the image catalog.
type observedStore struct {
	*sqlite.Ledger
	hear func(context.Context, ledger.Input, ledger.Result)
}

// Apply implements [ledger.Store].
func (o observedStore) Apply(ctx context.Context, in ledger.Input) (ledger.Result, error) {
	result, err := o.Ledger.Apply(ctx, in)
	if err == nil {
		o.hear(ctx, in, result)
	}
	return result, err
}

// ApplyAll implements [ledger.Store].
func (o observedStore) ApplyAll(ctx context.Context, ins []ledger.Input) ([]ledger.Result, error) {
	results, err := o.Ledger.ApplyAll(ctx, ins)
	for i := range results {
		o.hear(ctx, ins[i], results[i])
	}
	return results, err
}

// hear counts what moved, and tells the image catalog about the end of a runner.
func (m *Machine) hear(ctx context.Context, in ledger.Input, result ledger.Result) {
	m.flow.Observe(result)
	if _, gone := in.(ledger.Gone); gone && result.Reason == "" { // without a reason to ignore it: the runner was live before
		m.images.hear(ctx, result.Runner)
	}
}
