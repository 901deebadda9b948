package githubsim

import (
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// A flow is one workflow file at work in a run: the run's own, or one that a job
// calls.
type flow struct {
	run      *run
	file     *workflow.Workflow
	origin   origin
	caller   *task  // nil: the run's own
	prefix   string // of its jobs' names, such as "call / "
	inputs   map[string]any
	secrets  map[string]string
	calls    map[string]*callee // by uses
	tasks    []*task
	permits  []*permit // of the calling job's concurrency, and of its own
	start    func()    // begins it, of a call
	resume   bool      // it goes on from the attempt before
	canceled bool
	ended    bool
}

// A task is one of a workflow's jobs in one run. After its matrix was expanded it
// has one job per leg, or one flow if it calls a workflow.
type task struct {
	flow     *flow
	def      *workflow.Job
	jobs     []*job // nil until what it needs has ended
	calls    []*flow
	held     []func()       // starts of legs that max-parallel holds back
	keep     map[int]*job   // of the attempt before: legs that need not run again
	failFast bool           // a failed leg ends the others
	result   string         // "" until it has ended
	standing expr.Status    // how it and all it needs went
	outputs  map[string]any // of its legs together
}

func newFlow(r *run, file *workflow.Workflow, from origin) *flow {
	f := &flow{run: r, file: file, origin: from, calls: map[string]*callee{}}
	for i := range file.Jobs {
		f.tasks = append(f.tasks, &task{flow: f, def: &file.Jobs[i]})
	}
	return f
}

func (f *flow) task(key string) *task {
	for _, t := range f.tasks {
		if strings.EqualFold(t.def.Key, key) {
			return t
		}
	}
	return nil
}

// allJobs gives the jobs of f and of the flows that it calls.
func (f *flow) allJobs() []*job {
	if f == nil {
		return nil
	}
	var all []*job
	for _, t := range f.tasks {
		all = append(all, t.jobs...)
		for _, c := range t.calls {
			all = append(all, c.allJobs()...)
		}
	}
	return all
}

// fresh reports whether t has yet to be expanded, and can be.
func (t *task) fresh() bool {
	return t.result == "" && t.jobs == nil && t.calls == nil &&
		!slices.ContainsFunc(t.def.Needs, func(n string) bool { return t.flow.task(n).result == "" })
}

// ended reports whether each leg of t has ended.
func (t *task) ended() bool {
	return !slices.ContainsFunc(t.jobs, func(j *job) bool { return j.Status != StatusCompleted }) &&
		!slices.ContainsFunc(t.calls, func(c *flow) bool { return !c.ended })
}

// moved expands every task of f whose needs have ended, and ends f when all have.
// The caller holds mu.
func (s *Sim) moved(f *flow) {
	for again := true; again; {
		again = false
		for _, t := range f.tasks {
			if t.fresh() {
				s.expand(t)
				again = true
			}
			s.resume(t)
		}
	}
	s.settle(f.run)
	if f.ended || slices.ContainsFunc(f.tasks, func(t *task) bool { return t.result == "" }) {
		return
	}
	f.ended = true
	if f.caller == nil {
		s.endRun(f.run, f.conclude())
		return
	}
	s.callEnded(f)
}

// resume continues the calls of t that an attempt takes over from the previous one.
func (s *Sim) resume(t *task) {
	for _, c := range t.calls {
		if c.resume {
			c.resume, t.standing = false, s.scope(t).Status
			c.start()
		}
	}
}

// conclude gives f's conclusion from its tasks'.
func (f *flow) conclude() string {
	results := map[string]bool{}
	for _, t := range f.tasks {
		results[t.result] = true
	}
	for _, c := range []string{Failure, Cancelled, Success} {
		if results[c] {
			return c
		}
	}
	return Skipped
}

// jobEnded lets j's run go on. The caller holds mu.
func (s *Sim) jobEnded(j *job) {
	if j.Conclusion == Success {
		j.task.outputs = merged(j.task.outputs, j.outputs)
	}
	s.legEnded(j.task, j.Conclusion == Failure && !j.forgiven)
}

// callEnded gives the calling job the outputs of f and lets it go on.
func (s *Sim) callEnded(f *flow) {
	for _, p := range f.permits {
		s.leave(p)
	}
	f.permits = nil
	outputs, err := f.outputs(s)
	if err != nil {
		f.run.annotate(Annotation{Level: LevelFailure, Path: f.file.Path, Message: err.Error()})
	}
	f.caller.outputs = merged(f.caller.outputs, outputs)
	s.legEnded(f.caller, f.conclude() == Failure)
}

// legEnded lets t go on after one of its legs has ended.
func (s *Sim) legEnded(t *task, failed bool) {
	if failed && t.failFast && len(t.jobs)+len(t.calls) > 1 {
		t.held = nil
		s.cancelLegs(slices.Clone(t.jobs), slices.Clone(t.calls))
	}
	if len(t.held) > 0 && !t.flow.isCanceled() {
		next := t.held[0]
		t.held = t.held[1:]
		next()
	}
	if t.result != "" || !t.ended() {
		s.settle(t.flow.run)
		return
	}
	t.conclude()
	s.moved(t.flow)
}

// conclude gives t its result from its legs'.
func (t *task) conclude() {
	t.result = Success
	add := func(conclusion string) {
		if conclusion == Failure || conclusion != Success && t.result == Success {
			t.result = conclusion
		}
	}
	for _, j := range t.jobs {
		if j.Conclusion != Failure || !j.forgiven {
			add(j.Conclusion)
		}
	}
	for _, c := range t.calls {
		add(c.conclude())
	}
	switch t.result {
	case Failure:
		t.standing = max(t.standing, expr.Failure)
	case Cancelled, Skipped:
		t.standing = max(t.standing, expr.Skipped)
	}
}

// isCanceled reports whether f's run, or a call on the way to f, was cancelled.
func (f *flow) isCanceled() bool {
	for ; ; f = f.caller.flow {
		if f.canceled || f.caller == nil {
			return f.canceled || f.run.canceled
		}
	}
}

// cancelFlow cancels each job of f that has not ended, and what would follow but
// for always() and cancelled().
func (s *Sim) cancelFlow(f *flow) {
	f.canceled = true
	begun := slices.Clone(f.tasks)
	for _, t := range begun { // not those that start because of this
		t.held = nil
	}
	var jobs []*job
	var calls []*flow
	for _, t := range begun {
		jobs, calls = append(jobs, t.jobs...), append(calls, t.calls...)
	}
	s.cancelLegs(jobs, calls)
	s.moved(f)
}

func (s *Sim) cancelLegs(jobs []*job, calls []*flow) {
	for _, j := range jobs {
		s.cancelJob(j)
	}
	for _, c := range calls {
		if !c.ended {
			s.cancelFlow(c)
		}
	}
}

func merged(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}
