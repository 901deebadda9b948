package ledger

import (
	"fmt"
	"time"
)

// Apply applies in, which happened at now, and makes the plan anew. Nothing but
// s is changed; the same state, input and time always give the same outcome.
// Times are kept to the millisecond.
func (s *State) Apply(in Input, now time.Time) Result {
	t := &turn{State: s, now: now.UTC().Truncate(time.Millisecond)}
	in.apply(t)
	t.plan()
	_, name := in.about()
	t.result.Runner = s.runners[name]
	t.result.Changes = Changes{t.jobs.changes(s.jobs), t.runners.changes(s.runners)}
	return t.result
}

// A turn is one input being applied.
type turn struct {
	*State
	now     time.Time
	result  Result
	jobs    record[JobKey, Job]
	runners record[RunnerName, Runner]
}

// A record keeps what things were before their first change, in the order of it.
type record[K comparable, T any] struct {
	keys   []K
	before map[K]*T // nil for what was not there
}

// keep keeps what m has of key, unless an earlier value is kept.
func (r *record[K, T]) keep(m map[K]T, key K) {
	if _, kept := r.before[key]; kept {
		return
	}
	if r.before == nil {
		r.before = map[K]*T{}
	}
	r.before[key] = nil
	if v, ok := m[key]; ok {
		r.before[key] = &v
	}
	r.keys = append(r.keys, key)
}

// changes gives each kept value beside the one that m has now.
func (r *record[K, T]) changes(m map[K]T) (list []Change[T]) {
	for _, key := range r.keys {
		list = append(list, Change[T]{r.before[key], m[key]})
	}
	return list
}

func (t *turn) setJob(j Job) {
	t.jobs.keep(t.State.jobs, j.Key)
	t.putJob(j)
}

func (t *turn) setRunner(r Runner) {
	t.runners.keep(t.State.runners, r.Name)
	t.putRunner(r)
}

func (t *turn) emit(e Effect) { t.result.Effects = append(t.result.Effects, e) }

// ignore says why the input changes nothing.
func (t *turn) ignore(format string, args ...any) { t.result.Reason = fmt.Sprintf(format, args...) }
