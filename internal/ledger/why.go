package ledger

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Why explains in one sentence why j is in its state at now; its history tells how it got there. J
// need not be in the state.
func (s *State) Why(j Job, now time.Time) string {
	switch j.State {
	case JobWaiting:
		return s.limits.Forge.String() + " holds it back: it waits for jobs that it needs or for somebody's approval"
	case JobUnroutable:
		return s.limits.Pools.Unfit(j.routingInput())
	case JobHosted:
		return whyHosted(j)
	case JobQueued:
		return s.whyQueued(j, now) + s.failures(j)
	case JobRunning:
		return s.whyRunning(j, now)
	case JobCompleted:
		return "completed: " + cmp.Or(j.note(), "without a conclusion") + s.failures(j)
	}
	return fmt.Sprintf("job %s is not in the ledger", j.Key)
}

func whyHosted(j Job) string {
	if j.Labels == "" {
		return "it has no labels: GitHub-hosted runners take it, or those of its runner group"
	}
	return fmt.Sprintf("GitHub-hosted runners take it: no pool has label %s", j.Labels)
}

func (s *State) whyRunning(j Job, now time.Time) string {
	text := fmt.Sprintf("running on %s", cmp.Or(j.RunnerName, "a runner without a name"))
	if !j.Started.IsZero() {
		text += " for " + lasting(j.Started, now)
	}
	if !j.CheckAt.IsZero() && strings.HasPrefix(string(j.RunnerName), s.instance+"-") {
		text += fmt.Sprintf(", which is gone: %s has not said how the job ended", s.limits.Forge)
	}
	return text
}

// whyQueued names the first obstacle that keeps a queued job from running.
func (s *State) whyQueued(j Job, now time.Time) string {
	if own := s.own(j.Key); own.Live() {
		return s.describe(own, now)
	}
	p, ok := s.limits.Pools.Find(j.Pool)
	g := s.groups[s.groupOfJob(j)]
	switch {
	case !ok:
		return fmt.Sprintf("pool %s is not configured", j.Pool)
	case now.Before(s.putOffUntil(j.Scope.Installation)):
		return fmt.Sprintf("GitHub limits calls: the next runner starts in %s", lasting(now, s.putOffUntil(j.Scope.Installation)))
	case now.Before(j.NotBefore):
		return fmt.Sprintf("the next runner starts in %s", lasting(now, j.NotBefore))
	case g != nil && g.supply >= g.demand:
		return s.limits.Forge.String() + " gave this job's runner to another job; an equivalent runner is idle for it"
	case g != nil && s.warmServe(s.groupOfJob(j)):
		return fmt.Sprintf("a warm runner of pool %s is there for it: %s gives it the job", p.Name, s.limits.Forge)
	case !s.roomInPool(p):
		return fmt.Sprintf("pool %s is full: %d of %d", p.Name, s.liveByPool[p.Name], p.Max)
	case !s.fitsHost(p) && p.Resources.Fits(s.limits.Host):
		h, _ := s.hostsOf(p)
		return fmt.Sprintf("hosts are too small: a runner of pool %s needs %s, a host has %s", p.Name, figures(p.Resources), figures(h.Each))
	case !s.fitsHost(p):
		return fmt.Sprintf("host is too small: a runner of pool %s needs %s, the host has %s", p.Name, figures(p.Resources), figures(s.limits.Host))
	case !s.roomOnHost(p) && s.used().Plus(p.Resources).Fits(s.limits.Host):
		h, _ := s.hostsOf(p)
		return fmt.Sprintf("hosts are full: all %d that may run have runners, and a runner of pool %s needs %s", h.Max, p.Name, figures(p.Resources))
	case !s.roomOnHost(p):
		return fmt.Sprintf("host has no room: a runner of pool %s needs %s, and %s of %s are taken", p.Name, figures(p.Resources), figures(s.used()), figures(s.limits.Host))
	}
	return "waiting for the next scheduling pass"
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

// describe says what the runner that a job waits for is doing.
func (s *State) describe(r Runner, now time.Time) string {
	took := lasting(r.Since, now)
	switch {
	case r.Leaving != "":
		return fmt.Sprintf("runner %s has been leaving for %s (%s); then it gets another", r.Name, took, r.Leaving)
	case r.State == RunnerWanted:
		return fmt.Sprintf("runner %s was requested %s ago and no launcher has started it yet", r.Name, took)
	case r.State == RunnerStarting:
		return fmt.Sprintf("runner %s has been starting for %s", r.Name, took)
	case r.State == RunnerClaimed:
		return fmt.Sprintf("runner %s claimed it %s ago and is not listening yet", r.Name, took)
	case r.State == RunnerIdle:
		return fmt.Sprintf("runner %s has been listening for %s: %s has not given it the job", r.Name, took, s.limits.Forge)
	}
	return fmt.Sprintf("runner %s has been busy for %s, most likely with it", r.Name, took)
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
