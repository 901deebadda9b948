package inspect

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A PoolUse is how a pool has been used lately.
type PoolUse struct {
	Pool    string        `json:"pool"`
	Jobs    int           `json:"jobs"` // that started
	P50     time.Duration `json:"wait_p50"`
	P95     time.Duration `json:"wait_p95"`
	Longest time.Duration `json:"wait_longest"`
	Busy    []float64     `json:"busy"` // jobs at once, on average, in each of equal parts of the time
}

// Use is how all pools have been used since a time.
type Use struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Pools []PoolUse `json:"pools"` // those with jobs
}

// What a [Use] is made from: the newest jobs, of the last day, and how many parts that has.
const (
	useJobs  = 1000
	useTime  = 24 * time.Hour
	useParts = 96
)

// Use reads how pools have been used in the last day, or as far back as the newest jobs reach.
func (s *Source) Use(ctx context.Context, now time.Time) (u Use, err error) {
	jobs, err := s.Ledger.Jobs(ctx, ledger.JobQuery{Limit: useJobs})
	if err != nil {
		return u, err
	}
	return useOf(jobs, now), nil
}

func useOf(jobs []ledger.Job, now time.Time) Use {
	u := Use{Since: now.Add(-useTime), Until: now}
	started := slices.DeleteFunc(slices.Clone(jobs), func(j ledger.Job) bool { return j.Started.Before(u.Since) || j.Pool == "" || j.Queued.IsZero() })
	oldest := now
	for _, j := range started {
		if j.Started.Before(oldest) {
			oldest = j.Started
		}
	}
	if len(started) > 0 { // a young Mayfly has no day to draw
		u.Since = oldest.Add(-time.Second)
	}
	index, waits := map[string]int{}, map[string][]time.Duration{}
	for _, j := range started {
		i, known := index[j.Pool]
		if !known {
			i, index[j.Pool] = len(u.Pools), len(u.Pools)
			u.Pools = append(u.Pools, PoolUse{Pool: j.Pool, Busy: make([]float64, useParts)})
		}
		u.Pools[i].Jobs++
		waits[j.Pool] = append(waits[j.Pool], max(0, j.Started.Sub(j.Queued)))
		u.add(&u.Pools[i], j)
	}
	for i := range u.Pools {
		p := &u.Pools[i]
		sorted := waits[p.Pool]
		slices.Sort(sorted)
		p.P50, p.P95, p.Longest = rank(sorted, 0.5), rank(sorted, 0.95), sorted[len(sorted)-1]
	}
	return u
}

// add counts j in the parts of the time in which it ran.
func (u Use) add(p *PoolUse, j ledger.Job) {
	end := j.Completed
	if end.IsZero() {
		end = u.Until
	}
	part := float64(u.Until.Sub(u.Since)) / useParts
	from, to := float64(j.Started.Sub(u.Since))/part, float64(end.Sub(u.Since))/part
	for i := max(0, int(from)); i < useParts && float64(i) < to; i++ {
		p.Busy[i] += max(0, min(to, float64(i+1))-max(from, float64(i)))
	}
}

// rank returns the q-quantile of sorted, by the nearest-rank method.
func rank(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
