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
	for _, key := range t.jobs.keys {
		t.result.Jobs = append(t.result.Jobs, s.jobs[key])
	}
	for _, name := range t.runners.keys {
		t.result.Runners = append(t.result.Runners, s.runners[name])
	}
	return t.result
}

// A turn is one input being applied.
type turn struct {
	*State
	now     time.Time
	result  Result
	jobs    record[JobKey]
	runners record[RunnerName]
}

// A record is what changed, each once, in the order of the first change.
type record[K comparable] struct {
	keys []K
	has  map[K]bool
}

func (r *record[K]) add(key K) {
	if r.has[key] {
		return
	}
	if r.has == nil {
		r.has = map[K]bool{}
	}
	r.has[key] = true
	r.keys = append(r.keys, key)
}

func (t *turn) setJob(j Job) {
	t.jobs.add(j.Key)
	t.putJob(j)
}

func (t *turn) setRunner(r Runner) {
	t.runners.add(r.Name)
	t.putRunner(r)
}

func (t *turn) emit(e Effect) { t.result.Effects = append(t.result.Effects, e) }

// full reports whether so much has changed that what is left has to wait for
// another turn. Asked before each thing that a turn may leave undone.
func (t *turn) full() bool {
	n := t.limits.Changes
	t.result.More = n > 0 && len(t.jobs.keys)+len(t.runners.keys) >= n
	return t.result.More
}

// ignore says why the input changes nothing.
func (t *turn) ignore(format string, args ...any) { t.result.Reason = fmt.Sprintf(format, args...) }
