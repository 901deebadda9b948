package ledger

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// A State is all that decisions rest on: the jobs that are not settled, the
// live runners, and the counts that follow from them. It is made by [NewState],
// filled by [State.Load] and changed by [State.Apply] only. It is not safe for use
// by several goroutines at once.
type State struct {
	instance   string
	limits     Limits
	jobs       map[JobKey]Job
	byAttempt  map[attempt]JobKey // jobs by what GitHub knows them by, whatever their repository is called
	runners    map[RunnerName]Runner
	unreadable []Unreadable
	totals
}

// NewState returns an empty state. Instance, [a-z0-9]{1,12}, is what the names
// of its runners begin with: chosen at random once for each ledger, so that neither
// two of them nor one that was lost and begun anew ever use a name twice.
func NewState(instance string, l Limits) *State {
	return &State{
		instance: instance, limits: l.WithDefaults(),
		jobs: map[JobKey]Job{}, byAttempt: map[attempt]JobKey{}, runners: map[RunnerName]Runner{}, totals: newTotals(),
	}
}

// Instance returns what the names of all runners begin with.
func (s *State) Instance() string { return s.instance }

// Limits returns the limits in force.
func (s *State) Limits() Limits { return s.limits }

// Job returns the job of key and whether the state has it.
func (s *State) Job(key JobKey) (Job, bool) {
	j, ok := s.jobs[key]
	return j, ok
}

// An attempt is a job without its repository, whose name may change while the job lives: ids of
// jobs are unique in all of a GitHub.
type attempt struct {
	id int64
	n  int
}

func (k JobKey) attempt() attempt { return attempt{k.ID, k.Attempt} }

// keyOf returns the key by which s has the job of key: one with the repository's earlier name, if
// it was renamed or transferred since.
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

// Jobs goes through the jobs of the state, in no order.
func (s *State) Jobs() iter.Seq[Job] { return maps.Values(s.jobs) }

// Runners goes through the runners of the state, in no order.
func (s *State) Runners() iter.Seq[Runner] { return maps.Values(s.runners) }

// Load adds jobs and runners as they were kept.
func (s *State) Load(jobs []Job, runners []Runner) {
	for _, j := range jobs {
		s.putJob(j)
	}
	for _, r := range runners {
		s.putRunner(r)
	}
}

// Missing returns the jobs and runners that in is about and the state does not
// have: the store loads those that it keeps before it applies in.
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

// Compact drops the settled jobs and gone runners, which only fill memory: an
// input that is about one finds it loaded again.
func (s *State) Compact() {
	for key := range s.settled {
		s.dropJob(key)
	}
	for name := range s.gone {
		s.dropRunner(name)
	}
}

// The four below are the only ones that change jobs and runners. What a job and the
// runners made for it add to the totals depends on nothing but themselves,
// so it is taken away before a change and added again after it.

func (s *State) putJob(j Job) {
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
