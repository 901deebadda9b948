package handler

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws"
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
	f := map[string]float64{aws.MetricOldest: 0, aws.MetricJobsQueued: 0, aws.MetricJobsRunning: 0, aws.MetricRunners: 0}
	for j := range state.Jobs() {
		switch j.State {
		case ledger.JobQueued:
			f[aws.MetricJobsQueued]++
			f[aws.MetricOldest] = max(f[aws.MetricOldest], now.Sub(j.Queued).Round(time.Second).Seconds())
		case ledger.JobRunning:
			f[aws.MetricJobsRunning]++
		}
	}
	for r := range state.Runners() {
		if r.Live() {
			f[aws.MetricRunners]++
		}
	}
	return f
}
