package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// plan compares demand with supply: it removes surplus runners and adds missing ones. It runs after
// every input, so no input has to know its consequences.
func (t *tx) plan() {
	t.removeSurplus()
	t.removeWarm()
	t.addRunners()
	if blocked := t.blocked(); len(blocked) > 0 {
		t.makeRoom(blocked)
		t.addRunners() // in place of warm runners that did not exist yet
	} else {
		t.addWarmRunners()
	}
}

// removeSurplus removes useless runners: first those that are about to claim a job that is not
// queued any longer, unless another job can use them, then claimed and idle ones beyond the demand.
// It never removes a busy one.
func (t *tx) removeSurplus() {
	for _, name := range slices.Sorted(maps.Keys(t.stale)) {
		if t.full() {
			return
		}
		r := t.State.runners[name]
		if other, ok := t.unservedJobFor(r); ok {
			t.reassign(r, other)
		} else {
			t.remove(r, fmt.Sprintf("job %s no longer needs it", r.MadeFor), true)
		}
	}
	for _, k := range t.oversupplied() {
		for _, r := range t.removable(t.groups[k]) {
			if t.full() {
				return
			}
			t.remove(r, "more runners than queued jobs", true)
		}
	}
}

// unservedJobFor returns the job to which r, whose own job runs elsewhere or waits again, can be
// reassigned: the oldest job of its group without a runner, if the group is undersupplied. GitHub
// picks runners in its own order, so of several equal jobs most get a runner made for another.
func (t *tx) unservedJobFor(r Runner) (Job, bool) {
	g := t.groups[t.groupOfRunner(r)]
	if g == nil || g.supply >= g.demand || !t.reassignable(r.MadeFor) {
		return Job{}, false
	}
	var best queueEntry
	for _, p := range g.unserved {
		if t.ready(p) && (best.key.IsZero() || p.compare(best) < 0) {
			best = p
		}
	}
	return t.State.jobs[best.key], !best.key.IsZero()
}

// reassignable reports whether a runner made for the job of key may serve another job.
func (t *tx) reassignable(key JobKey) bool {
	state := t.State.jobs[key].State
	return state == JobRunning || state == JobWaiting
}

// reassign makes r, which has not claimed, the runner of j.
func (t *tx) reassign(r Runner, j Job) {
	r.History = remember(r.History, t.now, "reassigned", fmt.Sprintf("to job %s: %s no longer needs it", j.Key, r.MadeFor))
	// r has not registered yet, so it registers for j.
	r.MadeFor, r.Scope = j.Key, j.Scope
	t.setRunner(r)
	j.History = remember(j.History, t.now, "runner reassigned", string(r.Name))
	t.setJob(j)
}

// oversupplied returns the groups with more supply than demand, in a fixed order.
func (t *tx) oversupplied() (keys []group) {
	for k, g := range t.groups {
		if g.supply > g.demand && len(g.removable) > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.pool, b.pool), cmp.Compare(a.labels, b.labels), cmp.Compare(a.registeredAt, b.registeredAt))
	})
	return keys
}

// removable returns the surplus runners of a group, first those whose own job is not queued.
func (t *tx) removable(g *groupTotals) []Runner {
	var list []Runner
	for name := range g.removable {
		list = append(list, t.State.runners[name])
	}
	own := func(r Runner) int {
		if t.State.jobs[r.MadeFor].State == JobQueued {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b Runner) int {
		return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), g.supply-g.demand)]
}

// addRunners makes a runner for as many jobs as limits allow. Each goes to the repository with the
// fewest live runners, and there to the oldest job.
func (t *tx) addRunners() {
	if !t.anyGrows() || t.starved() {
		return
	}
	for p, ok := t.nextJob(); ok && !t.full(); p, ok = t.nextJob() {
		t.addRunner(t.State.jobs[p.key])
	}
}

// nextJob returns the job that gets the next runner. It scans all unserved jobs, which is cheaper
// than an order that every input has to maintain: runners are added at the pace at which jobs end.
func (t *tx) nextJob() (best queueEntry, found bool) {
	fewest := 0 // runners of best's repository
	for k, g := range t.groups {
		if !t.mayGrow(k) {
			continue
		}
		for key, p := range g.unserved {
			if !t.needsOwn(k, p) {
				continue
			}
			share := t.liveByRepository[key.Repository]
			if !found || share < fewest || share == fewest && p.compare(best) < 0 {
				best, fewest, found = p, share, true
			}
		}
	}
	return best, found
}

// anyGrows reports whether any group may have one more runner.
func (t *tx) anyGrows() bool {
	for k := range t.groups {
		if t.mayGrow(k) {
			return true
		}
	}
	return false
}

// mayGrow reports whether group k is undersupplied and limits allow one more runner.
func (t *tx) mayGrow(k group) bool {
	p, ok := t.limits.Pools.Find(k.pool)
	return ok && t.undersupplied(k) && t.roomInPool(p) && t.roomOnHost(p)
}

// undersupplied reports whether k has jobs that need another runner. Supply counts as well as
// unserved jobs: a runner whose job was taken by another one serves any job of the group.
func (t *tx) undersupplied(k group) bool {
	g := t.groups[k]
	return g != nil && g.supply < g.demand && len(g.unserved) > 0
}

// starved reports whether a job has waited so long for room on the host that smaller jobs, which
// would fit, must let room accumulate for it.
func (t *tx) starved() bool {
	for k, g := range t.groups {
		p, ok := t.limits.Pools.Find(k.pool)
		if !ok || !t.undersupplied(k) || !t.roomInPool(p) || t.roomOnHost(p) || !t.fitsHost(p) {
			continue
		}
		for _, p := range g.unserved {
			if t.needsOwn(k, p) && t.since(p.queued) > t.limits.Patience {
				return true
			}
		}
	}
	return false
}

// ready reports whether a job waits for neither a back-off nor news.
func (t *tx) ready(p queueEntry) bool {
	return !t.now.Before(p.notBefore) && !t.now.Before(t.putOffUntil(p.installation))
}

// addRunner makes a runner for j.
func (t *tx) addRunner(j Job) {
	r := Runner{
		Name: t.newRunnerName(&j), Pool: j.Pool, Labels: j.Labels, MadeFor: j.Key, Scope: j.Scope,
		Made: t.now, Requested: t.now,
	}
	t.transition(&r, RunnerWanted, "for job "+j.Key.String())
	j.History = remember(j.History, t.now, "runner wanted", string(r.Name))
	t.setJob(j)
	t.setRunner(r)
	t.requestStart(r)
}

// requestStart emits the request to start r.
func (t *tx) requestStart(r Runner) {
	t.emit(WantRunner{Runner: r.Name, Pool: r.Pool, Job: r.MadeFor, Labels: string(r.Labels), Scope: r.Scope})
}

const maxName = 64 // GitHub's limit for a runner's name

// newRunnerName returns the name of the next runner for j and counts it.
func (t *tx) newRunnerName(j *Job) RunnerName {
	for {
		j.Runners++
		rest := fmt.Sprintf("-%d-%d-%d", j.Key.ID, j.Key.Attempt, j.Runners)
		kind := strings.Map(plain, strings.ToLower(j.Pool))
		// The pool is for people and may be cut; instance, job and count make the name unique.
		kind = kind[:min(len(kind), max(0, maxName-len(t.instance)-1-len(rest)))]
		name := RunnerName(t.instance + "-" + kind + rest)
		if _, taken := t.State.runners[name]; !taken {
			return name
		}
	}
}

// plain replaces characters that a name may not have.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// roomInPool reports whether p may have one more runner.
func (s *State) roomInPool(p pool.Pool) bool { return p.Max == 0 || s.liveByPool[p.Name] < p.Max }

// roomOnHost reports whether one more runner of p fits beside all others.
func (s *State) roomOnHost(p pool.Pool) bool {
	if !s.used().Plus(p.Resources).Fits(s.limits.Host) {
		return false
	}
	h, ok := s.hostsOf(p)
	if !ok {
		return true
	}
	return h.Take(s.limits.Pools, func(name string) int {
		if name == p.Name {
			return s.liveByPool[name] + 1
		}
		return s.liveByPool[name]
	})
}

// hostsOf returns the hosts that p's runners start on; false if they are not among the limits.
func (s *State) hostsOf(p pool.Pool) (pool.Hosts, bool) {
	for _, h := range s.limits.Hosts {
		if slices.Contains(h.Pools, p.Name) {
			return h, true
		}
	}
	return pool.Hosts{}, false
}

// fitsHost reports whether a runner of p fits on a host that has no other.
func (s *State) fitsHost(p pool.Pool) bool {
	h, ok := s.hostsOf(p)
	return p.Resources.Fits(s.limits.Host) && (!ok || p.Resources.Fits(h.Each))
}

// used returns the resources of all live runners. It multiplies whole counts, pool by pool in a
// fixed order, so that rounding errors of fractional CPUs do not accumulate.
func (s *State) used() pool.Resources {
	var sum pool.Resources
	for _, p := range s.limits.Pools {
		n := s.liveByPool[p.Name]
		sum = sum.Plus(pool.Resources{CPUs: float64(n) * p.Resources.CPUs, Memory: int64(n) * p.Resources.Memory})
	}
	return sum
}
