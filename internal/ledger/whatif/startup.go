package whatif

import (
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Startup is the time from the request for a runner until it listens for a job.
type Startup struct {
	Pools    map[string]time.Duration // as measured; nil if nothing was
	Other    time.Duration            // for all other pools
	Measured int                      // number of measured runners
}

// Of returns the startup time of pool's runners.
func (s Startup) Of(pool string) time.Duration {
	if d, ok := s.Pools[pool]; ok {
		return d
	}
	return s.Other
}

// MeasureStartup returns each pool's median from the history of runners. Pools without runners
// there get the median of all, and if there are none at all, unknown.
func MeasureStartup(runners []ledger.Runner, unknown time.Duration) Startup {
	s := Startup{Other: unknown}
	var all []time.Duration
	of := map[string][]time.Duration{}
	for _, r := range runners {
		i := slices.IndexFunc(r.History, func(step ledger.Step) bool { return step.What == string(ledger.RunnerIdle) })
		if i < 0 {
			continue
		}
		took := r.History[i].At.Sub(r.Made)
		all, of[r.Pool] = append(all, took), append(of[r.Pool], took)
	}
	if len(all) == 0 {
		return s
	}
	s.Other, s.Measured, s.Pools = median(all), len(all), map[string]time.Duration{}
	for pool, times := range of {
		s.Pools[pool] = median(times)
	}
	return s
}

// median sorts times, which must not be empty.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[(len(times)-1)/2]
}
