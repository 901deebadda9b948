package ledger

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Invariants returns the violated invariants, nil for a sound state. It reports deficits only if
// the plan was made at now, as after a [Tick].
func (s *State) Invariants(now time.Time) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	s.soundTotals(fault)
	s.soundRunners(fault)
	s.soundJobs(fault)
	s.soundSupply(now, fault)
	return faults
}

// soundTotals compares the totals with a full recount.
func (s *State) soundTotals(fault func(string, ...any)) {
	again := NewState(s.instance, s.limits)
	again.Load(slices.Collect(s.Jobs()), slices.Collect(s.Runners()))
	if !reflect.DeepEqual(s.totals, again.totals) {
		fault("totals: %+v: want what jobs and runners add up to: %+v", s.totals, again.totals)
	}
}

func (s *State) soundRunners(fault func(string, ...any)) {
	for name, r := range s.runners {
		switch {
		case r.Name != name:
			fault("runner %s is kept under the name %s", r.Name, name)
		case len(r.Name) > maxName:
			fault("runner %s: the name has %d characters: want at most %d", name, len(r.Name), maxName)
		case r.State == RunnerGone && r.Reason == "":
			fault("runner %s is gone for no reason", name)
		case r.State == RunnerBusy && r.Spare:
			fault("runner %s is busy and is to be removed: %s", name, r.Leaving)
		case len(r.History) > maxHistory:
			fault("runner %s has %d steps of history: want at most %d", name, len(r.History), maxHistory)
		}
	}
	for _, p := range s.limits.Pools {
		if p.Max > 0 && s.liveByPool[p.Name] > p.Max {
			fault("pool %s has %d runners: want at most %d", p.Name, s.liveByPool[p.Name], p.Max)
		}
	}
	for _, h := range s.limits.Hosts {
		if !h.Take(s.limits.Pools, func(name string) int { return s.liveByPool[name] }) {
			fault("runners of pools %v do not fit on %d hosts with %s", h.Pools, h.Max, figures(h.Each))
		}
	}
	if used := s.used(); !used.Fits(s.limits.Host) {
		fault("runners take %s: the host has %s", figures(used), figures(s.limits.Host))
	}
}

func (s *State) soundJobs(fault func(string, ...any)) {
	running := map[JobKey]RunnerName{}
	for _, name := range slices.Sorted(maps.Keys(s.runners)) {
		r := s.runners[name]
		if other, twice := running[r.Runs]; twice && !r.Runs.IsZero() && r.Live() {
			fault("job %s runs on %s and on %s", r.Runs, other, name)
		}
		if r.Live() {
			running[r.Runs] = name
		}
	}
	for key, j := range s.jobs {
		claims := 0
		for _, name := range s.runnersOf[key] {
			if s.runners[name].HoldsClaim() {
				claims++
			}
		}
		if claims > 1 {
			fault("job %s has %d live claims: want at most one", key, claims)
		}
		if r, ours := s.runners[j.RunnerName]; ours && r.Live() && j.State.rank() >= JobRunning.rank() && r.State != RunnerBusy {
			fault("job %s runs on %s, which is %s: want busy", key, r.Name, r.State)
		}
	}
}

// soundSupply finds jobs that could have a runner but have none, and runners that could be removed.
func (s *State) soundSupply(now time.Time, fault func(string, ...any)) {
	t := &tx{State: s, now: now}
	for k, g := range s.groups {
		if g.supply > g.demand && len(g.removable) > 0 {
			fault("pool %s, labels %s: %d runners for %d jobs, and %d of them could go", k.pool, k.labels, g.supply, g.demand, len(g.removable))
		}
		if !t.mayGrow(k) || t.starved() {
			continue
		}
		for key, p := range g.unserved {
			if t.needsOwn(k, p) {
				fault("job %s has no runner, though there is room: %d runners for %d jobs of pool %s, labels %s", key, g.supply, g.demand, k.pool, k.labels)
			}
		}
	}
	for name := range s.stale {
		fault("runner %s waits to claim job %s, which is not queued", name, s.runners[name].MadeFor)
	}
}
