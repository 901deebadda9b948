package fleettest

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// Bench measures Start until the agent runs, and a whole container from Start to Stop.
func (s Subject) Bench(b *testing.B, l fleet.Launcher) {
	start := func(b *testing.B) *Runner {
		r := s.NewRunner(b, "true")
		if err := l.Start(b.Context(), r.Spec); err != nil {
			b.Fatal(err)
		}
		return r
	}
	b.Run("launcher", func(b *testing.B) {
		for b.Loop() {
			r := start(b)
			b.StopTimer()
			r.Wait(b, l)
			r.Stop(b, l, 0)
			b.StartTimer()
		}
	})
	b.Run("launcher whole", func(b *testing.B) {
		for b.Loop() {
			r := start(b)
			r.Wait(b, l)
			r.Stop(b, l, 0)
		}
	})
}
