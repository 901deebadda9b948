package ledger

import (
	"cmp"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Limits are the figures that decisions rest on. The zero value of a figure
// means its default, except for Host.
type Limits struct {
	Pools pool.Set
	Level Level          // where runners are registered
	Host  pool.Resources // what all runners together may take; a zero figure is no limit

	Wanted   time.Duration // a runner that no launcher took up is asked for again; default 2 min
	Launch   time.Duration // a container must run this long after a launcher took it up; default 2 min
	Starting time.Duration // a container that runs must claim within this; default 2 min
	Claimed  time.Duration // a runner must be listening at GitHub this long after its claim; default 2 min
	Lease    time.Duration // a claim of which nothing came may be made again after this; default 1 min
	Grace    time.Duration // beyond the pool's idle and total limits, which the agent keeps itself, and after a job's end; default 1 min
	Ask      time.Duration // a removal is asked for again; default 30 s
	Leaving  time.Duration // a removal of which nothing is heard is taken as done; default 10 min

	Settle   time.Duration // events may be late by this: a job whose runner has gone is asked about after it; default 30 s
	Stale    time.Duration // a job of which nothing is heard is asked about, one that waits for an approval after 12 times this; default 30 min
	Checks   int           // questions about jobs per sweep; default 4
	Patience time.Duration // a job that waited for room on the host longer than this is let in before others; default 10 min
	Queue    time.Duration // a queued job older than this has been failed by GitHub; default 24 h, GitHub's own
	Waiting  time.Duration // the same for a waiting job; default 35 days, GitHub's longest run

	// Changes bounds how many jobs and runners one input changes, for stores with a size limit per transaction.
	// Once it is reached, the rest is left to the next input ([Result].More); a single step may exceed it by two.
	// 0 means no bound; [Found] and [Stepped] ignore it.
	Changes int
}

// WithDefaults returns l with every figure that is zero set to its default.
// GitHub's own limits: https://docs.github.com/en/actions/reference/limits
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

// longBackoff is backoff where n runners in a row failed for a reason that the next one meets, too.
func longBackoff(n int) time.Duration {
	return min(time.Minute<<min(n-1, 10), 2*time.Hour)
}

// backoff is how long a job waits for its next runner after n have failed.
func backoff(n int) time.Duration {
	return min(time.Second<<min(n-1, 6), time.Minute)
}
