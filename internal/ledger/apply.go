package ledger

import (
	"fmt"
	"time"
)

// Apply applies in, which happened at now, and makes the plan. It changes only s; the same state,
// input and time always give the same result. Times are truncated to milliseconds, as the stores
// keep them.
func (s *State) Apply(in Input, now time.Time) Result {
	t := &tx{State: s, now: now.UTC().Truncate(time.Millisecond)}
	in.apply(t)
	t.plan()
	t.recordHolds()
	_, name := in.about()
	t.result.Runner = s.runners[name]
	for i, key := range t.jobs.keys {
		j := s.jobs[key]
		t.result.Jobs = append(t.result.Jobs, j)
		if from := t.jobs.from[i]; from != string(j.State) {
			t.result.Moves = append(t.result.Moves, Move{Job: j, From: from})
		}
	}
	for i, name := range t.runners.keys {
		r := s.runners[name]
		t.result.Runners = append(t.result.Runners, r)
		if from := t.runners.from[i]; from != string(r.State) {
			t.result.Moves = append(t.result.Moves, Move{Runner: r, From: from})
		}
	}
	return t.result
}

// A tx is the application of one input: the state it changes and the result it builds.
type tx struct {
	*State
	now     time.Time
	result  Result
	jobs    changeSet[JobKey]
	runners changeSet[RunnerName]
}

// A changeSet is the keys of what changed, each once, in the order of the first change, and their states before it.
type changeSet[K comparable] struct {
	keys []K
	from []string
	has  map[K]bool
}

func (r *changeSet[K]) add(key K, state string) {
	if r.has[key] {
		return
	}
	if r.has == nil {
		r.has = map[K]bool{}
	}
	r.has[key] = true
	r.keys, r.from = append(r.keys, key), append(r.from, state)
}

func (t *tx) setJob(j Job) {
	t.jobs.add(j.Key, string(t.State.jobs[j.Key].State))
	t.putJob(j)
}

func (t *tx) setRunner(r Runner) {
	t.runners.add(r.Name, string(t.State.runners[r.Name].State))
	t.putRunner(r)
}

func (t *tx) emit(e Effect) { t.result.Effects = append(t.result.Effects, e) }

// full reports whether Limits.Changes is reached, so that the rest has to wait for
// another transaction. It is checked before each step that may be postponed.
func (t *tx) full() bool {
	n := t.limits.Changes
	t.result.More = n > 0 && len(t.jobs.keys)+len(t.runners.keys) >= n
	return t.result.More
}

// ignore records why the input changes nothing.
func (t *tx) ignore(format string, args ...any) { t.result.Reason = fmt.Sprintf(format, args...) }
