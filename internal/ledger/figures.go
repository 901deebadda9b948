package ledger

import (
	"slices"
	"strings"
	"time"
)

// Figures are the counts of a state: what metrics and status show.
type Figures struct {
	Pools        []PoolFigures // the configured pools in their order, then others that still have jobs or runners
	OldestQueued time.Time     // when the job queued longest was queued; zero if none is
	Unreadable   int           // rows that are set aside
}

// PoolFigures are the counts of one pool. States without jobs or runners have no entry.
type PoolFigures struct {
	Pool    string
	Max     int // 0 for no limit, and for a pool that is not configured
	Jobs    map[JobState]int
	Runners map[RunnerState]int
}

// Figures counts the jobs and live runners of s. A state has no settled jobs once it is compacted: count
// unroutable and hosted jobs by a query of the store.
func (s *State) Figures() Figures {
	f := Figures{Unreadable: len(s.unreadable)}
	index := map[string]int{}
	of := func(pool string) *PoolFigures {
		i, ok := index[pool]
		if !ok {
			i, index[pool] = len(f.Pools), len(f.Pools)
			f.Pools = append(f.Pools, PoolFigures{Pool: pool, Jobs: map[JobState]int{}, Runners: map[RunnerState]int{}})
		}
		return &f.Pools[i]
	}
	for _, p := range s.limits.Pools {
		of(p.Name).Max = p.Max
	}
	configured := len(f.Pools)
	for _, j := range s.jobs {
		if j.Settled() {
			continue
		}
		of(j.Pool).Jobs[j.State]++
		if j.State == JobQueued {
			earliest(&f.OldestQueued, j.Queued)
		}
	}
	for _, r := range s.runners {
		if r.Live() {
			of(r.Pool).Runners[r.State]++
		}
	}
	slices.SortFunc(f.Pools[configured:], func(a, b PoolFigures) int { return strings.Compare(a.Pool, b.Pool) })
	return f
}

// Jobs returns the number of jobs in state, of all pools.
func (f Figures) Jobs(state JobState) (n int) {
	for _, p := range f.Pools {
		n += p.Jobs[state]
	}
	return n
}

// Runners returns the number of live runners, of all pools.
func (f Figures) Runners() (n int) {
	for _, p := range f.Pools {
		for _, in := range p.Runners {
			n += in
		}
	}
	return n
}

// Waited returns how long the job queued longest has waited at now; 0 if none is queued.
func (f Figures) Waited(now time.Time) time.Duration {
	if f.OldestQueued.IsZero() {
		return 0
	}
	return max(0, now.Sub(f.OldestQueued))
}
