package githubsim

import (
	"context"
	"maps"
	"time"
)

// expireEvery acts on what has run out of time, again and again.
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

// expire acts on what has run out of time by now: jobs that were not picked up
// go to another runner, jobs whose runner is silent fail, runners that do not
// poll are offline, tokens are forgotten.
func (s *Sim) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, r := range s.runners {
		switch j := r.job; {
		case j != nil && j.Status == StatusQueued && now.After(j.until):
			s.log.Warn("job was not picked up in time", "job", j.ID, "runner", r.Name)
			s.takeBack(r)
		case j != nil && j.Status == StatusInProgress && now.After(j.until):
			j.Fault = "the runner lost communication with the server"
			s.finish(j, Failure)
		case j == nil && r.session != "" && now.Sub(r.seen) > s.sessionLife() && !s.waiting[r]:
			s.endSession(r)
		}
	}
	maps.DeleteFunc(s.creds, func(_ digest, c *credential) bool { return !c.expires.IsZero() && now.After(c.expires) })
	maps.DeleteFunc(s.regs, func(_ digest, r registration) bool { return now.After(r.expires) })
	maps.DeleteFunc(s.access, func(_ digest, a access) bool { return now.After(a.expires) })
}
