package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// BenchmarkApply is a queued event and the end of a job while n others are queued,
// with a pool at its max and without one.
func BenchmarkApply(b *testing.B) {
	for _, max := range []int{0, 4} {
		for _, n := range []int64{0, 1000, 10_000} {
			b.Run(fmt.Sprintf("max=%d/queued=%d", max, n), func(b *testing.B) {
				l := twoPools()
				l.Pools[0].Max = max
				s := ledger.NewState("i", l)
				for id := range n {
					s.Apply(queued(id+1), start)
				}
				id := n
				b.ReportAllocs()
				for b.Loop() {
					id++
					s.Apply(queued(id), start)
					s.Apply(done(id), start)
					s.Compact()
				}
			})
		}
	}
}

// BenchmarkFreed is a runner that ends while n jobs stand in line for its place.
func BenchmarkFreed(b *testing.B) {
	for _, n := range []int64{1000, 10_000} {
		b.Run(fmt.Sprintf("queued=%d", n), func(b *testing.B) {
			l := twoPools()
			l.Pools[0].Max = 4
			s := ledger.NewState("i", l)
			for id := range n {
				s.Apply(queued(id+1), start)
			}
			id := n
			for b.Loop() {
				for r := range s.Runners() {
					s.Apply(done(r.MadeFor.ID), start)
					break
				}
				s.Compact()
				id++
				s.Apply(queued(id), start)
			}
		})
	}
}

// BenchmarkTick is a sweep over n queued jobs that finds nothing to do.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int64{1000, 10_000} {
		b.Run(fmt.Sprintf("queued=%d", n), func(b *testing.B) {
			s := ledger.NewState("i", twoPools())
			for id := range n {
				s.Apply(queued(id+1), start)
			}
			for b.Loop() {
				s.Apply(ledger.Tick{}, start.Add(time.Second))
			}
		})
	}
}
