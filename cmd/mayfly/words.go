package main

import (
	"context"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// lastWords keeps what agents gave as the reason for their end, until the fleet
// sees that end. The zero value is ready.
type lastWords struct {
	mu      sync.Mutex
	reasons map[ledger.RunnerName]string
}

// keep is the pipeline's LastWords.
func (w *lastWords) keep(_ context.Context, runner ledger.RunnerName, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reasons == nil {
		w.reasons = map[ledger.RunnerName]string{}
	}
	w.reasons[runner] = reason
	return nil
}

func (w *lastWords) of(runner ledger.RunnerName) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reasons[runner]
}

func (w *lastWords) forget(runner ledger.RunnerName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.reasons, runner)
}
