package dynamo_test

import (
	"sync"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// BenchmarkBurst has jobs queued at once, seen by four stores. It measures moto more than it
// measures the store: moto does one transaction after another and copies the whole table for each,
// so that a thousand jobs would take it gigabytes and minutes. What it shows is that a burst gets
// through, with all in conflict with each other.
func BenchmarkBurst(b *testing.B) {
	const jobs, stores = 200, 4
	for b.Loop() {
		b.StopTimer()
		bench := newBench(b)
		b.StartTimer()
		var wg sync.WaitGroup
		for i := range int64(stores) {
			s := bench.open()
			wg.Go(func() {
				for id := i + 1; id <= jobs; id += stores {
					if _, err := s.Apply(b.Context(), job(id, event.ActionQueued)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		if n := len(bench.wanted()); n != jobs {
			b.Errorf("%d runners wanted: want %d", n, jobs)
		}
		b.StartTimer()
	}
	b.ReportMetric(jobs*float64(b.N)/b.Elapsed().Seconds(), "inputs/s")
}

// BenchmarkApply is one store alone, on a table with little in it.
func BenchmarkApply(b *testing.B) {
	bench := newBench(b)
	s := bench.open()
	id := int64(0)
	for b.Loop() {
		id++
		bench.apply(s, job(id, event.ActionQueued))
		bench.apply(s, job(id, event.ActionCompleted))
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "inputs/s")
}
