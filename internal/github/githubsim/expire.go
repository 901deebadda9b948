package githubsim

import (
	"context"
	"maps"
	"time"
)

// Limits of GitHub's that no test needs to change.
// https://docs.github.com/en/actions/reference/runners/self-hosted-runners
const (
	queueLimit   = 24 * time.Hour // a job that waits longer for a runner is cancelled
	connectLimit = 24 * time.Hour // an ephemeral runner that has not connected by then is removed
)

// expireEvery expires whatever has timed out, at intervals.
func (s *Sim) expireEvery(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.expire()
		case <-ctx.Done():
			return
		}
	}
}

// expire expires whatever has timed out by now.
func (s *Sim) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, r := range s.runners {
		s.expireRunner(r, now)
	}
	for _, j := range s.overdue(now) {
		j.Fault = "The job has been in the queue for 24 hours, and no runner took it."
		s.finish(j, Cancelled)
	}
	s.expireApprovals(now)
	s.runHosted(now)
	s.runSchedules(now)
	maps.DeleteFunc(s.creds, func(_ digest, c *credential) bool { return !c.expires.IsZero() && now.After(c.expires) })
	maps.DeleteFunc(s.regs, func(_ digest, r registration) bool { return now.After(r.expires) })
	maps.DeleteFunc(s.access, func(_ digest, a access) bool { return now.After(a.expires) })
}

// expireRunner gives a job that r has not begun in time to another, fails one
// that r is silent about, cancels one that takes too long, and takes r for
// offline, or removes it, when it does not poll.
func (s *Sim) expireRunner(r *runner, now time.Time) {
	switch j := r.job; {
	case j != nil && j.Status == StatusQueued && now.After(j.until):
		s.log.Warn("job was not picked up in time", "job", j.ID, "runner", r.Name)
		s.takeBack(r)
	case j != nil && j.Status == StatusInProgress && now.After(j.until):
		j.Fault = "the runner lost communication with the server"
		s.finish(j, Failure)
	case j != nil && j.Status == StatusInProgress && now.Sub(j.StartedAt) > j.timeout():
		j.Fault = "The job running on runner " + r.Name + " has exceeded the maximum execution time of " + minutesText(j.minutes) + " minutes."
		s.cancelJob(j)
	case r.idledTooLong(now):
		s.log.Info("idle JIT runner is removed", "runner", r.Name)
		s.remove(r)
	case j == nil && r.session != "" && now.Sub(r.seen) > s.sessionLife() && !s.waiting[r]:
		s.endSession(r)
	case r.Ephemeral && r.seen.IsZero() && now.Sub(r.Created) > connectLimit:
		s.remove(r)
	}
}

// timeout gives timeout-minutes.
func (j *job) timeout() time.Duration {
	return time.Duration(j.minutes * float64(time.Minute))
}

// overdue gives the jobs that have waited for a runner for too long.
func (s *Sim) overdue(now time.Time) []*job {
	var out []*job
	for _, line := range s.queue {
		for _, j := range line {
			if j.Status == StatusQueued && j.runner == nil && now.Sub(j.queued) > queueLimit {
				out = append(out, j)
			}
		}
	}
	return out
}
