package ledger

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// A State is everything that decisions depend on: the unsettled jobs, the live runners, and the
// totals derived from them. Create it with [NewState], fill it with [State.Load] and change it only
// with [State.Apply]. It is not safe for concurrent use.
type State struct {
	instance   string
	limits     Limits
	jobs       map[JobKey]Job
	byAttempt  map[attempt]JobKey // keys by GitHub's own id, which survives a rename of the repository
	runners    map[RunnerName]Runner
	unreadable []Unreadable
	warmNamed  namedAt           // not stored: a restart takes longer
	pauses     map[station]pause // after warm runners that failed; not stored: a restart tries at once
	totals
}

// NewState returns an empty state. Instance, [a-z0-9]{1,12}, is the prefix of its runners' names:
// chosen at random once per ledger, so that names are unique across ledgers, and a lost ledger that
// is begun anew reuses none.
func NewState(instance string, l Limits) *State {
	return &State{
		instance: instance, limits: l.WithDefaults(),
		jobs: map[JobKey]Job{}, byAttempt: map[attempt]JobKey{}, runners: map[RunnerName]Runner{}, totals: newTotals(),
		pauses: map[station]pause{},
	}
}

// Instance returns the prefix of all runner names.
func (s *State) Instance() string { return s.instance }

// Limits returns the limits in force.
func (s *State) Limits() Limits { return s.limits }

// Job returns the job of key and whether the state has it.
func (s *State) Job(key JobKey) (Job, bool) {
	j, ok := s.jobs[key]
	return j, ok
}

// An attempt identifies a job without its repository, whose name may change while the job lives.
// GitHub's job ids are unique across repositories.
type attempt struct {
	id int64
	n  int
}

func (k JobKey) attempt() attempt { return attempt{k.ID, k.Attempt} }

// keyOf returns the key under which s has the job of key: its repository may have had another name
// when the job was first seen.
func (s *State) keyOf(key JobKey) JobKey {
	if _, ok := s.jobs[key]; ok {
		return key
	}
	return cmp.Or(s.byAttempt[key.attempt()], key)
}

// Runner returns the runner called name and whether the state has it.
func (s *State) Runner(name RunnerName) (Runner, bool) {
	r, ok := s.runners[name]
	return r, ok
}

// Jobs iterates over the jobs of the state, in no order.
func (s *State) Jobs() iter.Seq[Job] { return maps.Values(s.jobs) }

// Runners iterates over the runners of the state, in no order.
func (s *State) Runners() iter.Seq[Runner] { return maps.Values(s.runners) }

// Load adds jobs and runners from a store.
func (s *State) Load(jobs []Job, runners []Runner) {
	for _, j := range jobs {
		s.putJob(j)
	}
	for _, r := range runners {
		s.putRunner(r)
	}
}

// Drop removes jobs and runners that the store no longer has. Those that s does not have are no fault.
func (s *State) Drop(jobs []JobKey, runners []RunnerName) {
	for _, key := range jobs {
		if _, ok := s.jobs[key]; ok {
			s.dropJob(key)
		}
	}
	for _, name := range runners {
		if _, ok := s.runners[name]; ok {
			s.dropRunner(name)
		}
	}
}

// Missing returns the jobs and runners that in names and the state does not have. The store loads
// those it has before it applies in: jobs by their [JobKey.Number], because a settled one may be
// stored under an earlier name of its repository.
func (s *State) Missing(in Input) (jobs []JobKey, runners []RunnerName) {
	key, name := in.about()
	r, ok := s.runners[name]
	if name != "" && !ok {
		runners = append(runners, name)
	}
	for _, k := range []JobKey{s.keyOf(key), r.MadeFor} {
		if _, ok := s.jobs[k]; !k.IsZero() && !ok {
			jobs = append(jobs, k)
		}
	}
	return jobs, runners
}

// Compact drops settled jobs and gone runners, which decisions do not need. An input that names one
// has it loaded again.
func (s *State) Compact() {
	for key := range s.settled {
		s.dropJob(key)
	}
	for name := range s.gone {
		s.dropRunner(name)
	}
}

// Only the four functions below change jobs and runners. What a job and the runners made for it add
// to the totals depends on nothing else, so each function subtracts it before the change and adds
// it again afterwards: totals never drift.

func (s *State) putJob(j Job) {
	j.share()
	s.count(j.Key, -1)
	s.jobs[j.Key], s.byAttempt[j.Key.attempt()] = j, j.Key
	s.count(j.Key, +1)
}

func (s *State) dropJob(key JobKey) {
	s.count(key, -1)
	delete(s.jobs, key)
	if s.byAttempt[key.attempt()] == key {
		delete(s.byAttempt, key.attempt())
	}
	s.count(key, +1)
}

func (s *State) putRunner(r Runner) {
	if old, ok := s.runners[r.Name]; ok && old.MadeFor != r.MadeFor {
		// Reassigned: it has to be subtracted from the totals of its previous job.
		s.dropRunner(r.Name)
	}
	s.count(r.MadeFor, -1)
	if _, ok := s.runners[r.Name]; !ok {
		s.runnersOf[r.MadeFor] = append(s.runnersOf[r.MadeFor], r.Name)
		slices.Sort(s.runnersOf[r.MadeFor])
	}
	s.runners[r.Name] = r
	s.count(r.MadeFor, +1)
}

func (s *State) dropRunner(name RunnerName) {
	key := s.runners[name].MadeFor
	s.count(key, -1)
	delete(s.runners, name)
	s.runnersOf[key] = slices.DeleteFunc(s.runnersOf[key], func(n RunnerName) bool { return n == name })
	if len(s.runnersOf[key]) == 0 {
		delete(s.runnersOf, key)
	}
	s.count(key, +1)
}
