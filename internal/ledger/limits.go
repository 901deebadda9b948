package ledger

import (
	"cmp"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Limits are the numbers that decisions use. A zero number means its default, except for Host.
type Limits struct {
	Pools pool.Set
	Level Level          // where runners are registered
	Forge forge.About    // where jobs come from
	Host  pool.Resources // total resources of all runners; zero means no limit
	Hosts []pool.Hosts   // machines that start as runners need them, each kind up to its number

	Wanted   time.Duration // request the start again if no launcher took the runner; default 2 min
	Launch   time.Duration // a container must run within this of its launcher's [Starting]; default 2 min
	Starting time.Duration // a running container must claim within this; default 2 min
	Claimed  time.Duration // a runner must listen within this of its claim; default 2 min
	Lease    time.Duration // a claim without a registration may be repeated after this; default 1 min
	Grace    time.Duration // added to the pool's idle and total limits, which the agent enforces, and to a job's end; default 1 min
	Ask      time.Duration // request a removal again after this; default 30 s
	Leaving  time.Duration // consider a removal done if nothing is reported for this long; default 10 min

	Settle   time.Duration // how late events may be: GitHub is asked about a job this long after its runner is gone; default 30 s
	Stale    time.Duration // ask GitHub about a job after this silence, 12 times this if it waits for an approval; default 30 min
	Checks   int           // questions about jobs per sweep; default 4
	Patience time.Duration // a job that waited this long for room on the host goes before others; default 10 min
	Queue    time.Duration // GitHub fails a job queued for longer; default 24 h, GitHub's own limit
	Waiting  time.Duration // the same for a waiting job; default 35 days, GitHub's longest run

	// Changes bounds how many jobs and runners one input changes, for stores with a size limit per transaction.
	// Once it is reached, the rest is left to the next input ([Result].More); a single step may exceed it by two.
	// 0 means no bound; [Found] and [Stepped] ignore it.
	Changes int
}

// WithDefaults returns l with every zero number set to its default. GitHub's own limits:
// https://docs.github.com/en/actions/reference/limits
func (l Limits) WithDefaults() Limits {
	l.Wanted = cmp.Or(l.Wanted, 2*time.Minute)
	l.Launch = cmp.Or(l.Launch, 2*time.Minute)
	l.Starting = cmp.Or(l.Starting, 2*time.Minute)
	l.Claimed = cmp.Or(l.Claimed, 2*time.Minute)
	l.Lease = cmp.Or(l.Lease, time.Minute)
	l.Grace = cmp.Or(l.Grace, time.Minute)
	l.Ask = cmp.Or(l.Ask, 30*time.Second)
	l.Leaving = cmp.Or(l.Leaving, 10*time.Minute)
	l.Settle = cmp.Or(l.Settle, 30*time.Second)
	l.Stale = cmp.Or(l.Stale, 30*time.Minute)
	l.Checks = cmp.Or(l.Checks, 4)
	l.Patience = cmp.Or(l.Patience, 10*time.Minute)
	l.Queue = cmp.Or(l.Queue, 24*time.Hour)
	l.Waiting = cmp.Or(l.Waiting, 35*24*time.Hour)
	return l
}

// longBackoff is backoff after n failures in a row whose cause the next runner will meet too.
func longBackoff(n int) time.Duration {
	return min(time.Minute<<min(n-1, 10), 2*time.Hour)
}

// backoff is how long a job waits for its next runner after n of them failed.
func backoff(n int) time.Duration {
	return min(time.Second<<min(n-1, 6), time.Minute)
}
