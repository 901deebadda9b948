package handler

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// measure reports how the stack stands.
func (s *Sweep) measure(ctx context.Context) error {
	if s.Measure == nil {
		return nil
	}
	state, err := s.Pipeline.Ledger.Snapshot(ctx)
	if err != nil {
		return err
	}
	return s.Measure(figures(state, s.Now()))
}

// figures are the metrics of a state of the ledger.
func figures(state *ledger.State, now time.Time) map[string]float64 {
	f := map[string]float64{contract.MetricOldest: 0, contract.MetricJobsQueued: 0, contract.MetricJobsRunning: 0, contract.MetricRunners: 0}
	for j := range state.Jobs() {
		switch j.State {
		case ledger.JobQueued:
			f[contract.MetricJobsQueued]++
			f[contract.MetricOldest] = max(f[contract.MetricOldest], now.Sub(j.Queued).Round(time.Second).Seconds())
		case ledger.JobRunning:
			f[contract.MetricJobsRunning]++
		}
	}
	for r := range state.Runners() {
		if r.Live() {
			f[contract.MetricRunners]++
		}
	}
	return f
}
