package whatif

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Report is what came of a run.
type Report struct {
	Pools      []Tally      // of each pool that is configured, in that order
	Total      Tally        // of all jobs that fit a pool; its Pool is ""
	Unroutable []Unroutable // the labels of most jobs first
	Start, End time.Time    // of the first job's arrival and the last one's end; zero without work
}

// A Tally is the figures of one pool, or of all.
type Tally struct {
	Pool    string
	Jobs    int // that arrived
	Started int // of them, those that got a runner
	Failed  int // of them, those that GitHub failed because none came in a day
	Cut     int // of those started, the ones that the pool's total limit stopped

	P50, P95, Max time.Duration // from queued to started, of the jobs that started

	Runners int           // started
	Peak    int           // of them, at once at most
	AtMax   time.Duration // while jobs waited and the pool had as many runners as its max
	AtHost  time.Duration // while jobs waited and one more runner did not fit on the host
}

// Unroutable is the jobs that fit no pool because of their labels or repository.
type Unroutable struct {
	Labels ledger.LabelSet
	Jobs   int
}

// A count is a Tally in the making.
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

// held adds a time during which caps held jobs back.
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

// tally finishes the count.
func (c *count) tally() Tally {
	slices.Sort(c.waits)
	c.P50, c.P95, c.Max = rank(c.waits, 0.5), rank(c.waits, 0.95), rank(c.waits, 1)
	return c.Tally
}

// rank returns the value that a part q of sorted is not above: the nearest rank.
func rank(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// report puts the counts together.
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
