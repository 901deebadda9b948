package githubsim

import (
	"slices"
	"strings"
)

// failed tells which jobs "re-run failed jobs" runs again.
func failed(j *job) bool { return j.Conclusion == Failure || j.Conclusion == Cancelled }

// rerun starts another attempt: of the jobs that again names and of those that need
// them. Every job gets a new id; those that do not run again are completed at once,
// as they were. The caller holds mu.
func (s *Sim) rerun(r *run, again func(*job) bool) {
	r.Attempt++
	r.canceled, r.begun, r.Annotations = false, false, nil
	r.Status, r.Conclusion, r.Started, r.Updated = StatusQueued, "", s.now(), s.now()
	s.begin(r, func() { s.again(r.root, again) })
}

// again resets f for another attempt.
func (s *Sim) again(f *flow, again func(*job) bool) {
	f.ended, f.canceled = false, false
	old := f.tasks
	picked := map[string]bool{}  // of themselves
	follows := map[string]bool{} // after one that runs again
	for range old {              // as often as a chain of needs can be long
		for _, t := range old {
			key := strings.ToLower(t.def.Key)
			picked[key] = slices.ContainsFunc(t.allJobs(), again)
			follows[key] = slices.ContainsFunc(t.def.Needs, func(n string) bool {
				n = strings.ToLower(n)
				return picked[n] || follows[n]
			})
		}
	}
	f.tasks = nil
	for _, t := range old {
		key := strings.ToLower(t.def.Key)
		next := &task{flow: f, def: t.def}
		f.tasks = append(f.tasks, next)
		switch {
		case follows[key]:
		case picked[key]:
			s.pick(t, next, again)
		default:
			s.carryTask(t, next)
		}
	}
}

func (t *task) allJobs() []*job {
	all := slices.Clone(t.jobs)
	for _, c := range t.calls {
		all = append(all, c.allJobs()...)
	}
	return all
}

// pick selects which jobs of t the attempt next keeps; it repeats the others.
func (s *Sim) pick(t, next *task, again func(*job) bool) {
	next.keep = map[int]*job{}
	for _, j := range t.jobs {
		if !again(j) && j.Conclusion != Skipped {
			next.keep[j.index] = j
		}
	}
	if len(t.calls) == 0 {
		return
	}
	next.calls, next.failFast, next.outputs = t.calls, t.failFast, t.outputs
	for _, c := range next.calls {
		c.caller, c.resume = next, true
		s.again(c, again)
	}
}

// carryTask gives next all that t was.
func (s *Sim) carryTask(t, next *task) {
	next.result, next.standing, next.outputs = t.result, t.standing, t.outputs
	for _, j := range t.jobs {
		s.carryOver(next, j)
	}
	next.calls = t.calls
	for _, c := range next.calls {
		c.caller = next
		s.again(c, func(*job) bool { return false })
		c.ended = true
	}
}

// carryOver gives t the job of old, from the previous attempt, and announces it.
func (s *Sim) carryOver(t *task, old *job) {
	j := s.bareJob(t, leg{Leg: old.leg, index: old.index, scope: old.scope})
	j.Name, j.Labels, j.Group, j.Environment = old.Name, old.Labels, old.Group, old.Environment
	j.Status, j.Conclusion, j.Fault = StatusCompleted, old.Conclusion, old.Fault
	j.Runner, j.RunnerOf, j.StartedAt, j.Completed, j.Steps = old.Runner, old.RunnerOf, old.StartedAt, old.Completed, slices.Clone(old.Steps)
	j.outputs, j.forgiven, j.logs, j.deployment = old.outputs, old.forgiven, old.logs, old.deployment
	t.jobs = append(t.jobs, j)
	if j.Conclusion == Success {
		t.outputs = merged(t.outputs, j.outputs)
	}
	s.announceJob(j, StatusCompleted)
}
