package githubsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/workflow"
)

// A Run is one run of a workflow as it was when asked for.
type Run struct {
	ID         int64
	Number     int // of the workflow's runs, from 1
	Attempt    int // from 1
	Repository string
	Workflow   string
	Path       string // of the file
	Event      string // "push" or "workflow_dispatch"
	Ref        string // such as refs/heads/main
	SHA        string
	Status     string
	Conclusion string // "" until completed
	Created    time.Time
	Started    time.Time // of this attempt
	Updated    time.Time
	Faults     []workflow.Fault // of a run with StartupFailure
}

// A run is one run of a workflow.
type run struct {
	Run
	repo     *repository
	file     *workflow.Workflow // nil with Faults
	commit   git.Commit
	inputs   map[string]any
	payload  object // of the event, for the context github.event
	tasks    []*task
	canceled bool
}

// A task is one of a workflow's jobs in one run: after its matrix was expanded,
// one job per leg.
type task struct {
	def      *workflow.Job
	jobs     []*job      // nil until what it needs has ended
	held     []*job      // of a matrix with max-parallel, not yet queued
	result   string      // "" until it has ended
	standing expr.Status // how it and all it needs went
	outputs  map[string]any
}

// startRun starts w for a commit. The caller holds mu.
func (s *Sim) startRun(repo *repository, file *workflow.Workflow, path string, faults []workflow.Fault, t trigger) *run {
	repo.numbers[path]++
	if repo.workflows[path] == 0 {
		repo.workflows[path] = s.nextID()
	}
	r := &run{
		Run: Run{
			ID: s.nextID(), Number: repo.numbers[path], Attempt: 1, Repository: repo.fullName(), Workflow: path, Path: path,
			Event: t.event, Ref: t.ref, SHA: t.commit.SHA, Status: StatusQueued, Created: s.now(), Started: s.now(), Updated: s.now(), Faults: faults,
		},
		repo: repo, file: file, commit: t.commit, inputs: t.inputs, payload: t.payload,
	}
	s.runs[r.ID] = r
	if file != nil {
		r.Workflow = file.Name
		for i := range file.Jobs {
			r.tasks = append(r.tasks, &task{def: &file.Jobs[i]})
		}
	}
	s.announceRun(r, StatusRequested)
	if len(faults) > 0 {
		s.log.Warn("workflow has faults", "repository", r.Repository, "err", faults[0])
		s.endRun(r, StartupFailure)
		return r
	}
	s.advance(r)
	return r
}

// A trigger is what started a run.
type trigger struct {
	event   string
	ref     string
	commit  git.Commit
	inputs  map[string]any
	payload object
}

// advance expands every task whose needs have ended, and ends the run when all
// have. The caller holds mu.
func (s *Sim) advance(r *run) {
	for again := true; again; {
		again = false
		for _, t := range r.tasks {
			if t.jobs == nil && t.result == "" && r.ready(t) {
				s.expand(r, t)
				again = true
			}
		}
	}
	if r.Status != StatusCompleted && !slices.ContainsFunc(r.tasks, func(t *task) bool { return t.result == "" }) {
		s.endRun(r, r.conclude())
	}
}

func (r *run) task(key string) *task {
	for _, t := range r.tasks {
		if strings.EqualFold(t.def.Key, key) {
			return t
		}
	}
	return nil
}

func (r *run) ready(t *task) bool {
	for _, n := range t.def.Needs {
		if r.task(n).result == "" {
			return false
		}
	}
	return true
}

// conclude gives the run's conclusion from its tasks'.
func (r *run) conclude() string {
	results := map[string]bool{}
	for _, t := range r.tasks {
		results[t.result] = true
	}
	for _, c := range []string{Failure, Cancelled, Success} {
		if results[c] {
			return c
		}
	}
	return Skipped
}

func (s *Sim) endRun(r *run, conclusion string) {
	r.Status, r.Conclusion, r.Updated = StatusCompleted, conclusion, s.now()
	s.announceRun(r, StatusCompleted)
}

// scope gives what the expressions of t see before its matrix is expanded.
func (s *Sim) scope(r *run, t *task) expr.Scope {
	needs := map[string]any{}
	status := expr.Success
	for _, n := range t.def.Needs {
		need := r.task(n)
		needs[need.def.Key] = map[string]any{"result": need.result, "outputs": need.outputs}
		status = max(status, need.standing)
	}
	if r.canceled {
		status = expr.Canceled
	}
	return expr.Scope{Status: status, Contexts: map[string]any{
		"github": s.githubContext(r, t), "needs": needs, "inputs": r.inputs, "vars": map[string]any{},
	}}
}

// expand makes t's jobs, or ends it without: skipped by its condition, or
// failed by a wrong expression. The caller holds mu.
func (s *Sim) expand(r *run, t *task) {
	scope := s.scope(r, t)
	t.standing = scope.Status
	wanted, err := scope.Condition(t.def.If)
	var legs []workflow.Leg
	if err == nil && wanted {
		legs, err = t.def.Matrix.Legs(scope)
	}
	if err != nil || !wanted || len(legs) == 0 {
		s.expandToNothing(r, t, scope, err)
		return
	}
	for i, leg := range legs {
		j := s.newJob(r, t, i, len(legs), leg, scope)
		t.jobs = append(t.jobs, j)
	}
	// all are known before the first is queued: one that is at fault ends others
	for i, j := range t.jobs {
		switch {
		case j.Status == StatusCompleted: // by another's fault
		case j.Fault != "":
			s.finish(j, Failure)
		case t.def.MaxParallel > 0 && i >= t.def.MaxParallel:
			t.held = append(t.held, j)
		default:
			s.queueJob(j)
		}
	}
}

// expandToNothing gives t one job that has ended before it began.
func (s *Sim) expandToNothing(r *run, t *task, scope expr.Scope, err error) {
	conclusion := Skipped
	if r.canceled {
		conclusion = Cancelled
	}
	j := s.newJob(r, t, 0, 1, workflow.Leg{}, scope)
	if err != nil {
		conclusion, j.Fault = Failure, err.Error()
	}
	t.jobs = []*job{j}
	s.finish(j, conclusion)
}

// newJob makes the job of one leg. A wrong expression becomes its Fault.
func (s *Sim) newJob(r *run, t *task, index, total int, leg workflow.Leg, scope expr.Scope) *job {
	contexts := maps.Clone(scope.Contexts)
	contexts["matrix"] = map[string]any(leg.Values)
	contexts["strategy"] = map[string]any{
		"fail-fast": t.def.FailFast, "job-index": float64(index), "job-total": float64(total), "max-parallel": float64(total),
	}
	scope.Contexts = contexts
	j := &job{
		Job: Job{
			ID: s.nextID(), RunID: r.ID, Attempt: r.Attempt, Repository: r.Repository, Workflow: r.Workflow,
			Key: t.def.Key, Status: StatusQueued, Created: s.now(),
		},
		run: r, task: t, leg: leg, index: index, scope: scope, guid: newUUID(),
	}
	if err := j.fill(t.def); err != nil {
		j.Fault = err.Error()
		s.log.Warn("job is at fault", "job", j.ID, "err", err)
	}
	s.jobs[j.ID], s.guids[j.guid] = j, j
	return j
}

// fill expands what of the job's definition the server expands.
func (j *job) fill(def *workflow.Job) error {
	var err error
	if j.Name, err = j.scope.Expand(def.Name); err != nil {
		return err
	}
	if j.Name == "" {
		j.Name = def.Key
	}
	if len(j.leg.Names) > 0 && !expr.Has(def.Name) {
		j.Name += " (" + j.leg.Label() + ")"
	}
	if j.Group, err = j.scope.Expand(def.Group); err != nil {
		return err
	}
	if j.Labels, err = j.labels(def); err != nil {
		return err
	}
	forgiven, err := j.scope.Resolve(def.ContinueOnError)
	j.forgiven = expr.Truthy(forgiven) && forgiven != "false"
	return err
}

// labels expands runs-on, which may be one expression that yields a list.
func (j *job) labels(def *workflow.Job) ([]string, error) {
	labels := []string{}
	for _, l := range def.Labels {
		text, err := j.scope.Expand(l)
		if err != nil {
			return nil, err
		}
		labels = append(labels, text)
	}
	if def.LabelsFrom == "" {
		return labels, nil
	}
	v, err := j.scope.Resolve(def.LabelsFrom)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			labels = append(labels, expr.Text(item))
		}
	case string:
		labels = append(labels, v)
	default:
		return nil, fmt.Errorf("runs-on %s: want a label or a list of labels", def.LabelsFrom)
	}
	return labels, nil
}

// queueJob has j wait: for approval if its environment asks for that, or for a
// runner. The caller holds mu.
func (s *Sim) queueJob(j *job) {
	environment, err := j.scope.Expand(j.task.def.Environment)
	if err == nil && slices.Contains(j.run.repo.protected, environment) {
		j.Status = StatusWaiting
		s.announceJob(j, StatusWaiting)
		return
	}
	j.Status = StatusQueued
	s.announceJob(j, StatusQueued)
	s.enqueue(j)
}

// jobEnded lets j's run go on. The caller holds mu.
func (s *Sim) jobEnded(j *job) {
	t, r := j.task, j.run
	if j.Conclusion == Success {
		t.outputs = merged(t.outputs, j.outputs)
	}
	if j.Conclusion == Failure && !j.forgiven && t.def.FailFast && len(t.jobs) > 1 {
		t.held = nil
		for _, other := range t.jobs {
			s.cancelJob(other)
		}
	}
	if len(t.held) > 0 && !r.canceled {
		next := t.held[0]
		t.held = t.held[1:]
		s.queueJob(next)
	}
	if t.result != "" || slices.ContainsFunc(t.jobs, func(j *job) bool { return j.Status != StatusCompleted }) {
		return
	}
	t.conclude()
	s.advance(r)
}

// conclude gives t its result from its jobs'.
func (t *task) conclude() {
	t.result = Success
	for _, j := range t.jobs {
		switch {
		case j.Conclusion == Failure && j.forgiven:
		case j.Conclusion == Failure:
			t.result = Failure
		case j.Conclusion != Success && t.result == Success:
			t.result = j.Conclusion
		}
	}
	switch t.result {
	case Failure:
		t.standing = max(t.standing, expr.Failure)
	case Cancelled, Skipped:
		t.standing = max(t.standing, expr.Skipped)
	}
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}

// cancelRun ends what has not begun and tells the runners of what has. The
// caller holds mu.
func (s *Sim) cancelRun(r *run) {
	r.canceled = true
	var begun []*job // not those that start because of this, with always()
	for _, t := range r.tasks {
		t.held = nil
		begun = append(begun, t.jobs...)
	}
	for _, j := range begun {
		s.cancelJob(j)
	}
	s.advance(r)
}

// rerun starts another attempt: of all, or of what did not succeed and what
// needs that. Jobs get new ids. The caller holds mu.
func (s *Sim) rerun(r *run, all bool) {
	r.Attempt++
	r.canceled = false
	r.Status, r.Conclusion, r.Started, r.Updated = StatusQueued, "", s.now(), s.now()
	again := map[string]bool{}
	for range r.tasks { // as often as a chain of needs can be long
		for _, t := range r.tasks {
			key := strings.ToLower(t.def.Key)
			again[key] = again[key] || all || t.result != Success ||
				slices.ContainsFunc(t.def.Needs, func(n string) bool { return again[strings.ToLower(n)] })
		}
	}
	for i, t := range r.tasks {
		if again[strings.ToLower(t.def.Key)] {
			r.tasks[i] = &task{def: t.def}
		}
	}
	s.announceRun(r, StatusRequested)
	s.advance(r)
}
