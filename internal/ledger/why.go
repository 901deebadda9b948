package ledger

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// Why explains why j is in its state at now; its history tells how it got there. J need not be in
// the state.
func (s *State) Why(j Job, now time.Time) why.Answer {
	switch j.State {
	case JobWaiting:
		return s.answer(j, why.Waits, "%s holds it back: it waits for jobs that it needs or for somebody's approval", s.limits.Forge)
	case JobUnroutable:
		cause, text := s.limits.Pools.Unfit(j.routingInput())
		return s.answer(j, cause, "%s", text)
	case JobHosted:
		return s.answer(j, why.Hosted, "%s", whyHosted(j))
	case JobQueued:
		return s.blamed(j, s.whyQueued(j, now)).And(s.failures(j))
	case JobRunning:
		return s.whyRunning(j, now)
	case JobCompleted:
		return s.answer(j, causeOfEnd(j), "completed: %s", cmp.Or(j.note(), "without a conclusion")).And(s.failures(j))
	}
	return s.answer(j, why.NoJob, "job %s is not in the ledger", j.Key)
}

// answer returns an answer about j.
func (s *State) answer(j Job, c why.Cause, format string, args ...any) why.Answer {
	own := s.own(j.Key)
	return why.New(c, why.Facts{
		Pool: j.Pool, Job: j.Key.String(), Runner: string(cmp.Or(j.RunnerName, own.Name, j.lastFailed())), Repository: j.Scope.Repository, Forge: s.limits.Forge.String(),
	}, format, args...)
}

func causeOfEnd(j Job) why.Cause {
	switch j.Conclusion {
	case ConclusionAbandoned:
		return why.Abandoned
	case ConclusionLost:
		return why.Lost
	}
	return why.Done
}

func whyHosted(j Job) string {
	if j.Labels == "" {
		return "it has no labels: GitHub-hosted runners take it, or those of its runner group"
	}
	return fmt.Sprintf("GitHub-hosted runners take it: no pool has label %s", j.Labels)
}

func (s *State) whyRunning(j Job, now time.Time) why.Answer {
	text := fmt.Sprintf("running on %s", cmp.Or(j.RunnerName, "a runner without a name"))
	if !j.Started.IsZero() {
		text += " for " + lasting(j.Started, now)
	}
	if !j.CheckAt.IsZero() && strings.HasPrefix(string(j.RunnerName), s.instance+"-") {
		return s.answer(j, why.Gone, "%s, which is gone: %s has not said how the job ended", text, s.limits.Forge)
	}
	return s.answer(j, why.Running, "%s", text)
}

// blamed returns a with the cause of j's last failure, if j waits for what may fail the same way.
func (s *State) blamed(j Job, a why.Answer) why.Answer {
	waits := a.Cause == why.BackOff || a.Cause == why.Wanted || a.Cause == why.Starting || a.Cause == why.Claimed
	if j.Failed == nil || !waits {
		return a
	}
	b := s.answer(j, j.Failed.Cause, "%s", a.Text).Advised(j.Failed.Fix)
	b.Until = a.Until
	return b
}

// whyQueued names the first obstacle that keeps a queued job from running.
func (s *State) whyQueued(j Job, now time.Time) why.Answer {
	if own := s.own(j.Key); own.Live() {
		return s.describe(j, own, now)
	}
	p, ok := s.limits.Pools.Find(j.Pool)
	g := s.groups[s.groupOfJob(j)]
	switch {
	case !ok:
		return s.answer(j, why.PoolRemoved, "pool %s is not configured", j.Pool)
	case now.Before(s.putOffUntil(j.Scope.Installation)):
		until := s.putOffUntil(j.Scope.Installation)
		return s.until(j, until, why.RateLimited, "%s limits calls: the next runner starts in %s", s.limits.Forge, lasting(now, until))
	case now.Before(j.NotBefore):
		return s.until(j, j.NotBefore, why.BackOff, "the next runner starts in %s", lasting(now, j.NotBefore))
	case g != nil && g.supply >= g.demand:
		return s.answer(j, why.Taken, "%s gave this job's runner to another job; an equivalent runner is idle for it", s.limits.Forge)
	case g != nil && s.warmServe(s.groupOfJob(j)):
		return s.answer(j, why.Warm, "a warm runner of pool %s is there for it: %s gives it the job", p.Name, s.limits.Forge)
	case !s.roomInPool(p):
		return s.answer(j, why.PoolFull, "pool %s is full: %d of %d", p.Name, s.liveByPool[p.Name], p.Max)
	case !s.roomOnHost(p) || !s.fitsHost(p):
		return s.whyNoRoom(j, p)
	}
	return s.answer(j, why.Next, "waiting for the next scheduling pass")
}

// whyNoRoom explains why no further runner of p fits on a host.
func (s *State) whyNoRoom(j Job, p pool.Pool) why.Answer {
	needs := fmt.Sprintf("a runner of pool %s needs %s", p.Name, figures(p.Resources))
	h, _ := s.hostsOf(p)
	switch {
	case !s.fitsHost(p) && p.Resources.Fits(s.limits.Host):
		return s.answer(j, why.HostSmall, "hosts are too small: %s, a host has %s", needs, figures(h.Each))
	case !s.fitsHost(p):
		return s.answer(j, why.HostSmall, "host is too small: %s, the host has %s", needs, figures(s.limits.Host))
	case s.used().Plus(p.Resources).Fits(s.limits.Host):
		return s.answer(j, why.HostsFull, "hosts are full: all %d that may run have runners, and %s", h.Max, needs)
	}
	return s.answer(j, why.HostFull, "host has no room: %s, and %s of %s are taken", needs, figures(s.used()), figures(s.limits.Host))
}

// until returns an answer whose cause ends by itself at a time.
func (s *State) until(j Job, at time.Time, c why.Cause, format string, args ...any) why.Answer {
	a := s.answer(j, c, format, args...)
	a.Until = at
	return a
}

// own returns the live runner made for the job of key that is closest to running it.
func (s *State) own(key JobKey) (best Runner) {
	for _, name := range s.runnersOf[key] {
		if r := s.runners[name]; r.covers() && (best.Name == "" || r.Since.After(best.Since)) {
			best = r
		}
	}
	return best
}

// describe says what the runner that j waits for is doing.
func (s *State) describe(j Job, r Runner, now time.Time) why.Answer {
	took := lasting(r.Since, now)
	switch {
	case r.Leaving != "":
		return s.answer(j, why.Leaving, "runner %s has been leaving for %s (%s); then it gets another", r.Name, took, r.Leaving)
	case r.Deferred != "":
		return s.deferred(j, r, now)
	case r.State == RunnerWanted:
		return s.answer(j, why.Wanted, "runner %s was requested %s ago and no launcher has started it yet", r.Name, took)
	case r.State == RunnerStarting:
		return s.answer(j, why.Starting, "runner %s has been starting for %s", r.Name, took)
	case r.State == RunnerClaimed:
		return s.answer(j, why.Claimed, "runner %s claimed it %s ago and is not listening yet", r.Name, took)
	case r.State == RunnerIdle:
		cause := why.Listening
		if r.ignored(now) {
			cause = why.NotChosen
		}
		return s.answer(j, cause, "runner %s has been listening for %s: %s has not given it the job", r.Name, took, s.limits.Forge)
	}
	return s.answer(j, why.Busy, "runner %s has been busy for %s, most likely with it", r.Name, took)
}

// deferred says why the registration of r waits.
func (s *State) deferred(j Job, r Runner, now time.Time) why.Answer {
	text := fmt.Sprintf("%s has not registered runner %s", s.limits.Forge, r.Name)
	if now.Before(r.Retry) {
		text += fmt.Sprintf(", which tries again in %s", lasting(now, r.Retry))
	}
	return s.until(j, r.Retry, cmp.Or(r.Blame.Cause, why.ForgeFails), "%s: %s", text, r.Deferred).Advised(r.Blame.Fix)
}

// failures describes the runners that failed a job.
func (s *State) failures(j Job) string {
	if j.Ignored > 0 && !j.State.begun() {
		text := fmt.Sprintf("; %s has not given %s this job", s.limits.Forge, counted(j.Ignored, "runner"))
		if s.limits.Forge.NoHosted { // nor groups
			return text
		}
		return text + fmt.Sprintf(": check its runner group (runs-on.group) against runner_group of pool %s, and the group's repositories", j.Pool)
	}
	switch j.Failures {
	case 0:
		return ""
	case 1:
		return "; 1 runner failed: " + j.LastFailure
	}
	return fmt.Sprintf("; %d runners failed, the last: %s", j.Failures, j.LastFailure)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lasting formats the time between, with the precision that a reader needs.
func lasting(from, to time.Time) string {
	d := max(0, to.Sub(from))
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func figures(r pool.Resources) string {
	return fmt.Sprintf("%g CPUs and %.3g GiB", r.CPUs, float64(r.Memory)/(1<<30))
}

// RunnersFor returns the live runners made for the job of key.
func (s *State) RunnersFor(key JobKey) (list []Runner) {
	for _, name := range s.runnersOf[key] {
		if r := s.runners[name]; r.Live() {
			list = append(list, r)
		}
	}
	return list
}
