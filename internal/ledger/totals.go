package ledger

import (
	"time"
)

// A group identifies jobs and runners that are interchangeable: same pool, same labels, same place
// of registration.
type group struct {
	pool         string
	labels       LabelSet
	registeredAt string
}

func (s *State) groupOfJob(j Job) group {
	return group{j.Pool, j.Labels, s.limits.Level.RegisteredAt(j.Scope)}
}
func (s *State) groupOfRunner(r Runner) group {
	return group{r.Pool, r.Labels, s.limits.Level.RegisteredAt(r.Scope)}
}

// groupTotals are the counts of one group. A group has totals only while one of its counts is not
// zero.
type groupTotals struct {
	demand    int                     // queued jobs
	unserved  map[JobKey]queueEntry   // queued jobs without a runner of their own
	supply    int                     // runners that serve or will serve a queued job
	removable map[RunnerName]struct{} // of them, those that may be removed: claimed or idle
}

// A queueEntry is what decides a job's position in the queue of its group.
type queueEntry struct {
	key       JobKey
	created   time.Time // the order of the queue
	queued    time.Time
	notBefore time.Time

	installation int64 // whose rate limit its runners meet
}

func (p queueEntry) compare(o queueEntry) int {
	if c := p.created.Compare(o.created); c != 0 {
		return c
	}
	return p.key.compare(o.key)
}

// Totals are derived from jobs and runners and updated with each of them, so that the cost of an
// input does not grow with the number of queued jobs.
type totals struct {
	groups           map[group]*groupTotals
	runnersOf        map[JobKey][]RunnerName // runners made for a job, sorted by name
	liveByPool       map[string]int          // live runners by pool
	liveByRepository map[string]int          // live runners by repository
	warm             map[station]int         // warm runners that serve, or will serve, a queued job
	stale            map[RunnerName]struct{} // unclaimed runners whose job is not queued any longer
	putOff           map[JobKey]time.Time    // queued jobs whose claims GitHub put off, and until when
	unauthorized     map[JobKey]struct{}     // queued jobs that wait because GitHub refused the credential
	settled          map[JobKey]struct{}
	gone             map[RunnerName]struct{}
}

func newTotals() totals {
	return totals{
		groups: map[group]*groupTotals{}, runnersOf: map[JobKey][]RunnerName{},
		liveByPool: map[string]int{}, liveByRepository: map[string]int{}, warm: map[station]int{},
		stale: map[RunnerName]struct{}{}, putOff: map[JobKey]time.Time{}, unauthorized: map[JobKey]struct{}{},
		settled: map[JobKey]struct{}{}, gone: map[RunnerName]struct{}{},
	}
}

// count adds (sign +1) or subtracts (sign -1) what the job of key and the runners made for it
// contribute to the totals.
func (s *State) count(key JobKey, sign int) {
	j, known := s.jobs[key]
	queued := known && j.State == JobQueued
	covered := false
	for _, name := range s.runnersOf[key] {
		r := s.runners[name]
		covered = covered || r.covers()
		s.countRunner(r, queued, sign)
	}
	if known && j.Settled() {
		mark(s.settled, key, sign)
	}
	if queued && !j.PutOff.IsZero() {
		if delete(s.putOff, key); sign > 0 {
			s.putOff[key] = j.PutOff
		}
	}
	if queued && j.Unauthorized {
		mark(s.unauthorized, key, sign)
	}
	if queued {
		s.updateGroup(s.groupOfJob(j), func(t *groupTotals) {
			t.demand += sign
			if delete(t.unserved, key); sign > 0 && !covered {
				t.unserved[key] = queueEntry{key, j.Created, j.Queued, j.NotBefore, j.Scope.Installation}
			}
		})
	}
}

func (s *State) countRunner(r Runner, queued bool, sign int) {
	if !r.Live() {
		mark(s.gone, r.Name, sign)
		return
	}
	add(s.liveByPool, r.Pool, sign)
	add(s.liveByRepository, r.repository(), sign)
	switch {
	case r.Warm() && r.supplies(true):
		add(s.warm, s.stationOf(s.groupOfRunner(r)), sign)
	case r.Warm():
	case r.supplies(queued):
		s.updateGroup(s.groupOfRunner(r), func(t *groupTotals) {
			t.supply += sign
			if r.State == RunnerClaimed || r.State == RunnerIdle {
				mark(t.removable, r.Name, sign)
			}
		})
	case r.unclaimed() && r.Leaving == "":
		mark(s.stale, r.Name, sign)
	}
}

// updateGroup changes the totals of k, and drops them once they are empty.
func (s *State) updateGroup(k group, change func(*groupTotals)) {
	t := s.groups[k]
	if t == nil {
		t = &groupTotals{unserved: map[JobKey]queueEntry{}, removable: map[RunnerName]struct{}{}}
		s.groups[k] = t
	}
	change(t)
	if t.demand == 0 && t.supply == 0 {
		delete(s.groups, k)
	}
}

// mark adds k to m or removes it.
func mark[K comparable](m map[K]struct{}, k K, sign int) {
	if sign > 0 {
		m[k] = struct{}{}
	} else {
		delete(m, k)
	}
}

// add changes a count and drops it at zero, so that equal totals are deeply equal.
func add[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}
