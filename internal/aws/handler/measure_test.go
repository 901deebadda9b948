package handler_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// TestMetrics: every minute the sweep tells how many jobs and runners there are, and how
// long the job waits that has waited longest.
func TestMetrics(t *testing.T) {
	s := newStage(t)
	var told []map[string]float64
	s.sweep.Measure = func(values map[string]float64) error {
		told = append(told, values)
		return nil
	}
	minute := func() {
		s.must(s.sweep.Handle(t.Context(), event.Event{DetailType: "Scheduled Event", Source: "aws.events", Time: s.now.Truncate(time.Hour).Add(time.Minute)}))
	}
	minute()
	begin := s.now
	for id, action := range map[int64]string{1: "queued", 2: "queued", 3: "in_progress", 4: "completed"} {
		s.must(s.told(s.aboutJob(id, action)))
	}
	s.now = begin.Add(90 * time.Second)
	minute()
	want := []map[string]float64{
		{contract.MetricOldest: 0, contract.MetricJobsQueued: 0, contract.MetricJobsRunning: 0, contract.MetricRunners: 0},
		{contract.MetricOldest: 90, contract.MetricJobsQueued: 2, contract.MetricJobsRunning: 1, contract.MetricRunners: 2},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}
