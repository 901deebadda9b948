package simulation

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/racetest"
)

// letters lists the dead letters.
func (p *process) letters() (list []string, err error) {
	letters, err := bus.DeadLetters(p.ctx, p.db, eventlog.LetterFilter{}, 10)
	for _, l := range letters {
		list = append(list, fmt.Sprintf("%s of %s: %s", l.Event.ID, l.Rule, l.Reason))
	}
	return list, err
}

// run plays a scenario in the world of seed, with a rule broken or not.
func run(seed uint64, list []happening, broken string, says func(string, ...any)) *world {
	dir, err := os.MkdirTemp(memory(), "simulation-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w := &world{seed: seed, draws: map[string]uint64{}, dir: dir, broken: broken, says: says}
	w.play(list)
	return w
}

// memory is a folder that needs no disk, where there is one: what a power cut leaves of a file is not looked at here.
func memory() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// shrink leaves out of a scenario that fails what it fails without, as far as so many runs allow.
func shrink(seed uint64, list []happening, broken string, runs int) []happening {
	for size := len(list) / 2; size > 0; size /= 2 {
		for at := 0; at < len(list) && runs > 0; runs-- {
			without := slices.Delete(slices.Clone(list), at, min(at+size, len(list)))
			if len(run(seed, without, broken, nil).faults) > 0 {
				list = without
			} else {
				at += size
			}
		}
	}
	return list
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a number", name, text)
	}
	return n
}

// TestSimulation plays a day in each of many worlds: MAYFLY_SEEDS of them, or that of MAYFLY_TEST_SEED alone, which is told
// step by step with -v.
func TestSimulation(t *testing.T) {
	if seed := number(t, "MAYFLY_TEST_SEED", 0); seed > 0 {
		report(t, run(seed, scenario(seed), "", t.Logf))
		return
	}
	seeds := number(t, "MAYFLY_SEEDS", racetest.Fewer[uint64](30, 2))
	var next, steps, jobs, failed atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := next.Add(1); seed <= seeds && failed.Load() < 3; seed = next.Add(1) {
				w := run(seed, scenario(seed), "", nil)
				steps.Add(uint64(w.steps))
				jobs.Add(uint64(len(w.github.jobs)))
				if len(w.faults) > 0 {
					failed.Add(1)
					report(t, w)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d days, %d jobs, %d steps", seeds, jobs.Load(), steps.Load())
}

// report says what must not be and was, and how to see it again.
func report(t *testing.T, w *world) {
	if len(w.faults) == 0 {
		return
	}
	var few []string
	for _, h := range shrink(w.seed, scenario(w.seed), w.broken, 60) {
		few = append(few, h.String())
	}
	t.Errorf("seed %d: %s\nMAYFLY_TEST_SEED=%d repeats it. It fails with these alone:\n\t%s",
		w.seed, strings.Join(w.faults, "\n\t"), w.seed, strings.Join(few, "\n\t"))
}

// TestRepeats: a seed always gives the same day.
func TestRepeats(t *testing.T) {
	for seed := range racetest.Fewer[uint64](3, 1) {
		one, two := run(seed+1, scenario(seed+1), "", nil), run(seed+1, scenario(seed+1), "", nil)
		if one.print != two.print || one.steps != two.steps {
			t.Errorf("seed %d: %d steps, then %d; or others", seed+1, one.steps, two.steps)
		}
	}
}

// TestBrokenRules breaks one rule of Mayfly at a time: some day of a few must show it.
func TestBrokenRules(t *testing.T) {
	racetest.Skip(t)
	for broken, first := range map[string]uint64{ // the day that showed it last, which is tried first
		"claims are granted without the ledger":   1,
		"runners have the labels of another pool": 1,
		"idle runners leave without asking":       9,
		"the pool's max is ignored":               2,
		"containers go before GitHub is asked":    7,
		"containers are not removed":              1,
		"the end of a job is not heard":           1,
		"the clock is not watched":                8,
		"nothing is tried again":                  2,
		"nothing is kept":                         1,
		"nobody looks for what no delivery told":  1,
		"the status of a job does not count":      1,
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			for i := range uint64(15) {
				seed := (first-1+i)%15 + 1
				both := append(scenario(seed), scenario(seed+100)...) // a day of twice the trouble
				if w := run(seed, both, broken, nil); len(w.faults) > 0 {
					t.Logf("day %d, %v: %s", seed, time.Since(begun).Round(time.Millisecond), w.faults[0])
					return
				}
			}
			t.Error("fifteen days show nothing of it")
		})
	}
}
