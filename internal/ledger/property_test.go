package ledger_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/racetest"
)

// acts are what may happen in a world, each as often as it is listed.
func (w *world) acts() []func() {
	return []func(){
		w.push, w.push, w.push,
		func() { w.deliver(true) }, func() { w.deliver(true) }, func() { w.deliver(true) },
		func() { w.grant(true) }, func() { w.grant(true) }, func() { w.grant(true) },
		w.claim, w.claim, w.claim, w.assign, w.assign, w.assign, w.finish, w.finish,
		w.cancel, w.steal, w.crash, w.restart, w.gate, w.gate,
		func() { w.pass(time.Second) }, func() { w.pass(20 * time.Second) }, func() { w.pass(time.Duration(w.pick(900)) * time.Second) },
	}
}

// worldLimits draws limits from none to tight.
func worldLimits(pick func(int) int) ledger.Limits {
	l := twoPools()
	l.Pools[0].Max = []int{0, 1, 4}[pick(3)]
	l.Host = []pool.Resources{{}, {CPUs: 4}, {CPUs: 6, Memory: 16 << 30}}[pick(3)]
	l.Changes = []int{0, 0, 4}[pick(3)]
	l.Pools[0].Warm = pool.Warm{Runners: pick(3), At: []string{"acme/r0", "acme/r1"}}
	l.Pools[1].Warm = pool.Warm{Runners: pick(2), At: []string{"acme/r0"}}
	return l
}

// TestWorld: whatever happens, in whatever order, every step leaves the ledger
// sound; and when things go well again, every job gets done and nothing is left.
func TestWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		w := newWorld(worldLimits(pick), pick, t.Fatalf)
		acts := w.acts()
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			acts[pick(len(acts))]()
		}
		w.settle()
	})
}

// TestCalm: while nothing is lost and nothing fails, each job costs one runner, and at
// most one more when GitHub gives it another's: its own may be too late to claim.
func TestCalm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		w := newWorld(worldLimits(pick), pick, t.Fatalf)
		w.coolDown()
		w.label = [][]string{{"linux"}, {"Linux"}}
		acts := []func(){
			w.push, w.push, func() { w.deliver(false) }, func() { w.deliver(false) }, func() { w.grant(false) }, func() { w.grant(false) },
			w.claim, w.claim, w.assign, w.finish, w.restart, func() { w.pass(time.Second) },
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			acts[pick(len(acts))]()
		}
		w.settle()
		if w.made < len(w.jobs) || w.made > len(w.jobs)+w.stolen {
			t.Fatalf("%d runners for %d jobs, %d of them stolen", w.made, len(w.jobs), w.stolen)
		}
	})
}

// TestYear is a year of traffic with every fault, all settled by the end of each day.
func TestYear(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := newWorld(worldLimits(func(int) int { return 2 }), random.IntN, t.Fatalf)
	acts := w.acts()
	for day := range racetest.Fewer(365, 30) {
		w.pass(max(0, start.AddDate(0, 0, day).Sub(w.now)))
		for range 60 {
			acts[random.IntN(len(acts))]()
		}
		w.settle()
	}
	for name, n := range w.doneOn {
		if n > 1 {
			t.Errorf("runner %s ran %d jobs: want one", name, n)
		}
	}
	t.Logf("%d jobs, %d runners, %d of which ran a job", len(w.jobs), w.made, len(w.doneOn))
}
