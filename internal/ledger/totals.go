package ledger

import (
	"time"
)

// A set is the jobs and runners that can stand for each other: of one pool, with
// the same labels, and registered at the same place.
type set struct {
	pool   string
	labels LabelSet
	at     string
}

func (s *State) setOfJob(j Job) set { return set{j.Pool, j.Labels, s.limits.Level.Place(j.Scope)} }
func (s *State) setOfRunner(r Runner) set {
	return set{r.Pool, r.Labels, s.limits.Level.Place(r.Scope)}
}

// A total is what counts of one set.
type total struct {
	demand int                     // queued jobs
	needy  map[JobKey]place        // of them, those without a runner of their own
	supply int                     // runners that are or will be there for a queued job
	spares map[RunnerName]struct{} // of them, those that can be removed: claimed or idle
}

// A place is where a job stands in line.
type place struct {
	key       JobKey
	created   time.Time // what the order goes by
	queued    time.Time
	notBefore time.Time
}

func (p place) compare(o place) int {
	if c := p.created.Compare(o.created); c != 0 {
		return c
	}
	return p.key.compare(o.key)
}

// Totals are the counts that follow from jobs and runners, kept up to date so
// that an input costs the same however many jobs are queued.
type totals struct {
	sets    map[set]*total
	made    map[JobKey][]RunnerName // runners in the state made for a job, by name
	living  map[string]int          // live runners of each pool
	shares  map[string]int          // live runners of each repository
	stale   map[RunnerName]struct{} // unclaimed runners whose job is not queued any more
	settled map[JobKey]struct{}
	gone    map[RunnerName]struct{}
}

func newTotals() totals {
	return totals{
		sets: map[set]*total{}, made: map[JobKey][]RunnerName{},
		living: map[string]int{}, shares: map[string]int{},
		stale: map[RunnerName]struct{}{}, settled: map[JobKey]struct{}{}, gone: map[RunnerName]struct{}{},
	}
}

// count adds (sign 1) or takes away (-1) what the job of key and the runners made
// for it add to the totals.
func (s *State) count(key JobKey, sign int) {
	j, known := s.jobs[key]
	queued := known && j.State == JobQueued
	covered := false
	for _, name := range s.made[key] {
		r := s.runners[name]
		covered = covered || r.covers()
		s.countRunner(r, queued, sign)
	}
	if known && j.Settled() {
		mark(s.settled, key, sign)
	}
	if queued {
		s.in(s.setOfJob(j), func(t *total) {
			t.demand += sign
			if delete(t.needy, key); sign > 0 && !covered {
				t.needy[key] = place{key, j.Created, j.Queued, j.NotBefore}
			}
		})
	}
}

func (s *State) countRunner(r Runner, queued bool, sign int) {
	if !r.Live() {
		mark(s.gone, r.Name, sign)
		return
	}
	add(s.living, r.Pool, sign)
	add(s.shares, r.repository(), sign)
	switch {
	case r.supplies(queued):
		s.in(s.setOfRunner(r), func(t *total) {
			t.supply += sign
			if r.State == RunnerClaimed || r.State == RunnerIdle {
				mark(t.spares, r.Name, sign)
			}
		})
	case r.unclaimed() && r.Leaving == "":
		mark(s.stale, r.Name, sign)
	}
}

// in changes the total of k, which is there only while something counts.
func (s *State) in(k set, change func(*total)) {
	t := s.sets[k]
	if t == nil {
		t = &total{needy: map[JobKey]place{}, spares: map[RunnerName]struct{}{}}
		s.sets[k] = t
	}
	change(t)
	if t.demand == 0 && t.supply == 0 {
		delete(s.sets, k)
	}
}

// mark puts k into m or takes it out.
func mark[K comparable](m map[K]struct{}, k K, sign int) {
	if sign > 0 {
		m[k] = struct{}{}
	} else {
		delete(m, k)
	}
}

// add changes a count, which is there only while it is not zero.
func add[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}
