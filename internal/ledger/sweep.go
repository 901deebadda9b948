package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func (in Tick) apply(t *tx) {
	t.sweepJobs()
	for _, r := range t.inOrder(Runner.Live) {
		if t.full() {
			return
		}
		if _, stale := t.stale[r.Name]; !stale { // the plan removes or reassigns stale ones
			t.sweepRunner(r)
		}
	}
}

// sweepRunner acts on the deadlines of a live runner.
func (t *tx) sweepRunner(r Runner) {
	switch {
	case r.Leaving != "" && t.since(r.Since) >= t.limits.Leaving:
		t.end(r, fmt.Sprintf("its removal was not confirmed within %s", t.limits.Leaving))
	case r.Leaving != "":
		if t.requestDue(&r, t.limits.Ask) {
			t.requestRemoval(r, r.Leaving)
		}
	case r.State == RunnerWanted:
		if t.requestDue(&r, t.limits.Wanted) {
			t.requestStart(r)
		}
	default:
		if at, why := t.deadline(r); !at.IsZero() && !t.now.Before(at) {
			r.Late = true
			t.remove(r, why, false)
		}
	}
}

// requestDue reports whether the last request for r is old enough to be repeated, and records that
// it is.
func (t *tx) requestDue(r *Runner, after time.Duration) bool {
	if t.since(r.Requested) < after {
		return false
	}
	r.Requested = t.now
	t.setRunner(*r)
	return true
}

// deadline returns when r has to go if it stays as it is, and why; zero for no deadline. The agent
// enforces the pool's own limits: here they have some grace, for an agent that fails to.
func (s *State) deadline(r Runner) (at time.Time, why string) {
	p := s.poolOf(r.Pool)
	consider := func(from time.Time, limit time.Duration, format string) {
		if from.IsZero() || limit == 0 {
			return
		}
		if until := from.Add(limit); at.IsZero() || until.Before(at) {
			at, why = until, fmt.Sprintf(format, limit)
		}
	}
	from := r.Since
	if r.Retry.After(from) { // a runner that was told to wait is not late
		from = r.Retry
	}
	if r.State != RunnerBusy { // else its job has as long as it is long
		consider(r.Started, graced(p.TotalLimit, s.limits.Grace), "older than %s")
	}
	switch r.State {
	case RunnerStarting:
		if r.Started.IsZero() {
			consider(r.Since, s.limits.Launch, "did not run within %s of its start")
		} else {
			consider(from, s.limits.Starting, "did not claim within %s of its start")
		}
	case RunnerClaimed:
		consider(from, s.limits.Claimed, "was not listening within %s of its claim")
	case RunnerIdle:
		consider(r.Since, graced(p.IdleLimit, s.limits.Grace), "idle for %s")
	case RunnerBusy:
		consider(r.Since, graced(p.TotalLimit, s.limits.Grace), "its job has run for more than %s")
		consider(r.Done, s.limits.Grace, "its job ended %s ago")
	}
	return at, why
}

func graced(limit, grace time.Duration) time.Duration {
	if limit == 0 {
		return 0
	}
	return limit + grace
}

// poolOf returns the pool called name, or one with defaults if the configuration no longer has it
// while its runners live.
func (s *State) poolOf(name string) pool.Pool {
	p, ok := s.limits.Pools.Find(name)
	if !ok {
		return pool.Pool{Name: name}.WithDefaults()
	}
	return p
}

// sweepJobs handles the jobs for which the passing of time is news.
func (t *tx) sweepJobs() {
	var silent []Job
	for _, j := range t.jobsWhere(func(j Job) bool { return t.expired(j) || t.misrouted(j) || t.checkDue(j) }) {
		if t.full() {
			return
		}
		switch {
		case t.expired(j) && j.Overdue.IsZero(): // ask first: our clock may be wrong, and a job that is given up gets no runner
			j.Overdue, j.CheckAt = t.now, t.now
			silent = append(silent, j)
		case t.expired(j):
			t.expire(j)
		case t.misrouted(j):
			t.reroute(j)
		default:
			silent = append(silent, j)
		}
	}
	t.check(silent)
}

// expire ends a job that GitHub should have ended by its own limits, and about which it did not
// answer.
func (t *tx) expire(j Job) {
	j.History = remember(j.History, t.now, ConclusionAbandoned, fmt.Sprintf("%s for more than %s", j.State, t.patience(j)))
	j.upgrade()
	j.giveUp(ConclusionAbandoned, t.now)
	t.setJob(j)
	t.scheduleCheck(j.Key)
}

// expired reports whether j waits for longer than GitHub allows, GitHub has not confirmed recently
// that it still waits, and no question is open.
func (t *tx) expired(j Job) bool {
	from := j.Queued
	if from.IsZero() {
		from = j.Created
	}
	return !j.State.begun() && t.since(from) >= t.patience(j) &&
		t.longSince(j.Confirmed) && t.longSince(j.Overdue)
}

// longSince reports whether at is unset or longer ago than Limits.Stale.
func (t *tx) longSince(at time.Time) bool { return at.IsZero() || t.since(at) >= t.limits.Stale }

// patience returns how long GitHub lets j wait.
func (s *State) patience(j Job) time.Duration {
	if j.Queued.IsZero() {
		return s.limits.Waiting
	}
	return s.limits.Queue
}

// reroute finds a pool for a job that has none, or whose pool no longer exists.
func (t *tx) reroute(j Job) {
	was := j.Pool
	j.upgrade()
	j.Pool = ""
	if t.route(&j, ""); j.Pool == was {
		return
	}
	j.History = remember(j.History, t.now, string(j.State), j.note())
	t.setJob(j)
	t.scheduleCheck(j.Key)
}

// misrouted reports whether j needs a runner and its pool is not in the configuration.
func (t *tx) misrouted(j Job) bool {
	_, ok := t.limits.Pools.Find(j.Pool)
	return !ok && j.State.rank() < JobRunning.rank()
}

// checkDue reports whether it is time to ask GitHub about j.
func (t *tx) checkDue(j Job) bool { return !j.CheckAt.IsZero() && !t.now.Before(j.CheckAt) }

// check asks GitHub about jobs, the longest overdue first and few per sweep: the calls share a rate
// limit with the registrations that jobs wait for.
func (t *tx) check(silent []Job) {
	slices.SortStableFunc(silent, func(a, b Job) int { return a.CheckAt.Compare(b.CheckAt) })
	for _, j := range silent[:min(len(silent), t.limits.Checks)] {
		t.emit(CheckJob{Job: j.Key, Scope: j.Scope, Reason: fmt.Sprintf("%s, without further reports", j.State)})
		j.CheckAt = t.now.Add(t.maxSilence(j))
		t.setJob(j)
	}
}

// jobsWhere returns the matching jobs in a fixed order.
func (t *tx) jobsWhere(match func(Job) bool) (list []Job) {
	for j := range t.State.Jobs() {
		if match(j) {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b Job) int { return a.Key.compare(b.Key) })
	return list
}
