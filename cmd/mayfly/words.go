package main

import (
	"context"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// lastWords keeps what agents said of the end of their runner, until the fleet sees that
// end. The zero value is ready.
type lastWords struct {
	mu   sync.Mutex
	said map[ledger.RunnerName]claim.Report
}

// keep is the pipeline's LastWords.
func (w *lastWords) keep(_ context.Context, runner ledger.RunnerName, gone claim.Report) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said = map[ledger.RunnerName]claim.Report{}
	}
	w.said[runner] = gone
	return nil
}

// of returns what runner's agent said; the zero report when that was nothing.
func (w *lastWords) of(runner ledger.RunnerName) claim.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said[runner]
}

func (w *lastWords) forget(runner ledger.RunnerName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.said, runner)
}
