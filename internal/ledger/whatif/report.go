package whatif

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Report is the outcome of a run.
type Report struct {
	Pools      []Tally      // one per configured pool, in that order
	Total      Tally        // all jobs that fit a pool; its Pool is ""
	Unroutable []Unroutable // the labels of most jobs first
	Start, End time.Time    // arrival of the first job and end of the last one; zero without work
}

// A Tally is the numbers of one pool, or of all.
type Tally struct {
	Pool    string
	Jobs    int // arrived
	Started int // of them, got a runner
	Failed  int // of them, failed by GitHub because no runner came in a day
	Cut     int // of those started, stopped by the pool's total limit

	P50, P95, Max time.Duration // from queued to started, of the jobs that started

	Runners int           // started
	Peak    int           // of them, most at once
	AtMax   time.Duration // while jobs waited and the pool had its maximum of runners
	AtHost  time.Duration // while jobs waited and the host had no room for one more runner
}

// Unroutable counts the jobs that fit no pool because of their labels or repository.
type Unroutable struct {
	Labels ledger.LabelSet
	Jobs   int
}

// A count is a Tally under construction.
type count struct {
	Tally
	waits []time.Duration
	live  int  // runners now
	all   bool // of all pools
}

func (c *count) started(wait time.Duration) {
	c.Started++
	c.waits = append(c.waits, wait)
}

// runner counts one more live runner, or one fewer.
func (c *count) runner(n int) {
	c.live += n
	c.Runners += max(0, n)
	c.Peak = max(c.Peak, c.live)
}

// held adds a period during which caps held jobs back.
func (c *count) held(pools map[string]ledger.Cap, d time.Duration) {
	for _, kind := range []struct {
		cap ledger.Cap
		sum *time.Duration
	}{{ledger.CapPool, &c.AtMax}, {ledger.CapHost, &c.AtHost}} {
		for name, at := range pools {
			if at == kind.cap && (c.all || name == c.Pool) {
				*kind.sum += d
				break
			}
		}
	}
}

// tally completes the count.
func (c *count) tally() Tally {
	slices.Sort(c.waits)
	c.P50, c.P95, c.Max = rank(c.waits, 0.5), rank(c.waits, 0.95), rank(c.waits, 1)
	return c.Tally
}

// rank returns the q-quantile of sorted, by the nearest-rank method.
func rank(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// report assembles the counts.
func (w *world) report() Report {
	r := Report{Total: w.total.tally(), Start: w.start, End: w.end}
	for _, p := range w.limits.Pools {
		r.Pools = append(r.Pools, w.counts[p.Name].tally())
	}
	for labels, jobs := range w.unroutable {
		r.Unroutable = append(r.Unroutable, Unroutable{labels, jobs})
	}
	slices.SortFunc(r.Unroutable, func(a, b Unroutable) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Labels, b.Labels))
	})
	return r
}
