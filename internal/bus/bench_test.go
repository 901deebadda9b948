package bus_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// BenchmarkPublish publishes a real delivery of 7 KB from many goroutines at
// once, with rules like those of `mayfly up`, and then with deliveries going on.
func BenchmarkPublish(b *testing.B) {
	detail, err := os.ReadFile("../../testdata/webhooks/github/workflow_job-queued-6.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, deliver := range []bool{false, true} {
		for _, n := range []int{1, 8, 32, 256} {
			b.Run(fmt.Sprintf("deliver=%v/goroutines=%d", deliver, n), func(b *testing.B) {
				w := newWorld(b)
				w.config.Targets["note"] = func(context.Context, event.Event) error { return nil }
				for _, kind := range []string{"Runner Wanted", "Runner Unwanted", "Job Uncertain"} {
					w.config.Rules = append(w.config.Rules, bus.Rule{
						Name: kind, Target: "note", Workers: 8,
						Pattern: parse(b, `{"source": ["mayfly"], "detail-type": ["`+kind+`"]}`),
					})
				}
				w.open()
				defer func() { w.stop() }()
				if deliver {
					w.run()
				}
				var next atomic.Int64
				before := cpu(b)
				b.SetParallelism((n + 1) / 2) // times GOMAXPROCS, which is 2 where this is measured
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						e := job(fmt.Sprintf("%016x", uint64(next.Add(1))*0x9e3779b97f4a7c15))
						e.Detail = detail
						if fresh, err := w.bus.Publish(context.Background(), e); err != nil || !fresh {
							b.Errorf("Publish = %v, %v", fresh, err)
							return
						}
					}
				})
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
