package handler

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// measure writes the figures of the stack's ledger as metrics.
func (s *Sweep) measure(ctx context.Context) error {
	if s.Measure == nil {
		return nil
	}
	state, err := s.Pipeline.Ledger.Snapshot(ctx)
	if err != nil {
		return err
	}
	f := state.Figures()
	return s.Measure(map[string]float64{
		contract.MetricOldest:      f.Waited(s.Now()).Round(time.Second).Seconds(),
		contract.MetricJobsQueued:  float64(f.Jobs(ledger.JobQueued)),
		contract.MetricJobsRunning: float64(f.Jobs(ledger.JobRunning)),
		contract.MetricRunners:     float64(f.Runners()),
	})
}
