package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A station is where warm runners of a pool listen. A warm runner has all labels of its pool, so it serves the jobs of every group
// of its station.
type station struct{ pool, registeredAt string }

func (s *State) stationOf(k group) station { return station{k.pool, k.registeredAt} }

// warmServe reports whether the station of k has a warm runner for each of its jobs that has no other: then none of them needs
// another runner. Which job GitHub gives to which runner is not known.
func (s *State) warmServe(k group) bool {
	at := s.stationOf(k)
	return s.warm[at] > 0 && s.deficit(at) <= s.warm[at]
}

// deficit returns how many jobs of a station have no runner but a warm one.
func (s *State) deficit(at station) (n int) {
	for k, g := range s.groups {
		if s.stationOf(k) == at {
			n += max(0, g.demand-g.supply)
		}
	}
	return n
}

// needsOwn reports whether a queued job of k without a runner may get one now. A job that warm runners do not serve within the time
// in which GitHub gives jobs to runners gets its own: they may be in a runner group that it must not use.
func (t *tx) needsOwn(k group, p queueEntry) bool {
	return t.ready(p) && (t.since(p.queued) >= ignoredFor || !t.warmServe(k))
}

// removeWarm removes warm runners that are not wanted any longer, and old ones that are replaced.
func (t *tx) removeWarm() {
	for _, at := range t.stations() {
		if t.full() {
			return
		}
		t.shrink(at)
	}
}

// addWarmRunners makes the warm runners that are missing. Jobs come first: it is called while none waits for room.
func (t *tx) addWarmRunners() {
	for _, at := range t.stations() {
		t.grow(at)
	}
}

// stations returns where warm runners are wanted or left, in a fixed order.
func (t *tx) stations() (list []station) {
	for _, p := range t.limits.Pools {
		for _, at := range p.Warm.At {
			list = append(list, station{p.Name, strings.ToLower(at)})
		}
	}
	var left []station
	for at := range t.warm {
		if !slices.Contains(list, at) {
			left = append(left, at)
		}
	}
	slices.SortFunc(left, func(a, b station) int {
		return cmp.Or(cmp.Compare(a.pool, b.pool), cmp.Compare(a.registeredAt, b.registeredAt))
	})
	return append(list, left...)
}

// blocked returns the pools of the jobs that need a runner and wait for room, one for each job.
func (t *tx) blocked() (pools []string) {
	if len(t.runnersOf[JobKey{}]) == 0 {
		return nil // there is no room to be made
	}
	for k, g := range t.groups {
		p, ok := t.limits.Pools.Find(k.pool)
		if !ok || !t.undersupplied(k) || !p.Resources.Fits(t.limits.Host) || t.roomInPool(p) && t.roomOnHost(p) {
			continue
		}
		n := 0
		for _, e := range g.unserved {
			if t.needsOwn(k, e) {
				n++
			}
		}
		for range min(n, g.demand-g.supply) {
			pools = append(pools, k.pool)
		}
	}
	slices.Sort(pools)
	return pools
}

// makeRoom removes one warm runner for each job that waits for room, less those that are on their way out: of the job's own pool where
// that is full, and else any. Those that serve other jobs stay.
func (t *tx) makeRoom(blocked []string) {
	leaving := 0
	for _, name := range t.runnersOf[JobKey{}] {
		if r := t.State.runners[name]; r.Live() && r.Leaving != "" {
			leaving++
		}
	}
	for _, name := range blocked[min(leaving, len(blocked)):] {
		p, _ := t.limits.Pools.Find(name)
		for _, at := range t.stations() {
			if t.full() {
				return
			}
			if at.pool != p.Name && !t.roomInPool(p) {
				continue
			}
			if list := t.warmAt(at); len(list) > t.deficit(at) {
				t.remove(list[0], "makes room for a job of pool "+p.Name, true)
				break
			}
		}
	}
}

// warmAt returns the warm runners of a station that may be removed or renewed, first those that are of least use: the oldest, and before
// them those that do not listen yet.
func (t *tx) warmAt(at station) (list []Runner) {
	for _, name := range t.runnersOf[JobKey{}] {
		r := t.State.runners[name]
		if r.supplies(true) && r.State != RunnerBusy && t.stationOf(t.groupOfRunner(r)) == at {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b Runner) int { return a.Listened.Compare(b.Listened) })
	return list
}

// A crew is the warm runners of a station at one time.
type crew struct {
	want       int
	fresh, old []Runner
	listening  int // of the fresh ones
}

func (t *tx) crewOf(at station) (s crew) {
	p, _ := t.limits.Pools.Find(at.pool)
	if slices.ContainsFunc(p.Warm.At, func(place string) bool { return strings.EqualFold(place, at.registeredAt) }) {
		s.want = p.Warm.Wanted(t.now)
	}
	for _, r := range t.warmAt(at) {
		switch {
		case t.old(r):
			s.old = append(s.old, r)
			continue
		case r.State == RunnerIdle:
			s.listening++
		}
		s.fresh = append(s.fresh, r)
	}
	return s
}

// shrink removes what a station has too many of. Those that serve a job stay. Old runners go when enough fresh ones listen, or one by
// one when there is no room for both.
func (t *tx) shrink(at station) {
	s, deficit := t.crewOf(at), t.deficit(at)
	p, known := t.limits.Pools.Find(at.pool)
	extra := max(0, len(s.fresh)-max(s.want, deficit-len(s.old)))
	for _, r := range s.fresh[:extra] {
		t.remove(r, "fewer warm runners are wanted", true)
	}
	spare := len(s.fresh) - extra + len(s.old) - deficit
	replaced := s.listening >= s.want
	crowded := s.listening == len(s.fresh) && known && (!t.roomInPool(p) || !t.roomOnHost(p))
	for i, r := range s.old[:max(0, min(spare, len(s.old)))] {
		if replaced || crowded && i == 0 {
			t.remove(r, "renewed", true)
		}
	}
}

// grow makes what a station lacks. Old runners are replaced one by one.
func (t *tx) grow(at station) {
	if t.now.Before(t.pauses[at].until) {
		return
	}
	s := t.crewOf(at)
	missing := s.want - len(s.fresh)
	if len(s.old) > 0 {
		starting := len(s.fresh) - s.listening
		missing = max(missing-len(s.old), min(missing, 1-starting))
	}
	p, _ := t.limits.Pools.Find(at.pool)
	for ; missing > 0 && t.roomInPool(p) && t.roomOnHost(p) && !t.full(); missing-- {
		t.addWarm(at)
	}
}

// old reports whether a warm runner is to be renewed: it listens for most of the time for which it may, or its image is not current.
func (t *tx) old(r Runner) bool {
	limit := t.poolOf(r.Pool).IdleLimit
	return r.Outdated || r.State == RunnerIdle && limit > 0 && t.since(r.Listened) >= limit*3/4
}

// addWarm makes a warm runner.
func (t *tx) addWarm(at station) {
	p, _ := t.limits.Pools.Find(at.pool)
	r := Runner{Name: t.newWarmName(p.Name), Pool: p.Name, Labels: NewLabelSet(p.Labels), Scope: t.scopeOf(at), Made: t.now, Requested: t.now}
	t.transition(&r, RunnerWanted, "warm")
	t.setRunner(r)
	t.requestStart(r)
}

// scopeOf returns where the runners of a station register.
func (s *State) scopeOf(at station) Scope {
	p, _ := s.limits.Pools.Find(at.pool)
	place := at.registeredAt
	for _, spelled := range p.Warm.At {
		if strings.EqualFold(spelled, place) {
			place = spelled
		}
	}
	switch s.limits.Level {
	case LevelRepository:
		return Scope{Repository: place}
	case LevelOrganization:
		return Scope{Organization: place}
	}
	return Scope{}
}

// newWarmName returns a name that no warm runner has had: it holds the time, and counts the names of one millisecond.
func (t *tx) newWarmName(pool string) RunnerName {
	if ms := t.now.UnixMilli(); ms != t.warmNamed.at {
		t.warmNamed = namedAt{at: ms}
	}
	for {
		t.warmNamed.count++
		rest := fmt.Sprintf("-w%s-%d", strconv.FormatInt(t.warmNamed.at, 36), t.warmNamed.count)
		kind := strings.Map(plain, strings.ToLower(pool))
		kind = kind[:min(len(kind), max(0, maxName-len(t.instance)-1-len(rest)))]
		name := RunnerName(t.instance + "-" + kind + rest)
		if _, taken := t.State.runners[name]; !taken {
			return name
		}
	}
}

// namedAt is when warm runners got their last names, in milliseconds since 1970, and how many did.
type namedAt struct {
	at    int64
	count int
}

// A pause is how long a station makes no warm runners after some failed.
type pause struct {
	failures int
	until    time.Time
}

// pauseWarm counts a warm runner that ended before it listened.
func (t *tx) pauseWarm(r Runner) {
	if !r.Listened.IsZero() || r.Leaving != "" && !r.Late && !r.Refused {
		return
	}
	at := t.stationOf(t.groupOfRunner(r))
	p := t.pauses[at]
	p.failures++
	p.until = t.now.Add(backoff(p.failures))
	if r.Refused {
		p.until = t.now.Add(longBackoff(p.failures))
	}
	t.pauses[at] = p
}

func (in Promoted) apply(t *tx) {
	for _, r := range t.inOrder(Runner.Warm) {
		own := t.poolOf(r.Pool).Image
		if r.Live() && own == "" && r.Image != "" && r.Image != in.Image && !r.Outdated {
			r.Outdated = true
			t.setRunner(r)
		}
	}
}
