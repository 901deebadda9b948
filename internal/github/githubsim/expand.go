package githubsim

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// runScope gives what run-name and a workflow's concurrency see.
func (s *Sim) runScope(r *run) expr.Scope {
	return expr.Scope{Contexts: map[string]any{
		"github": s.githubContext(r, nil), "inputs": r.inputs, "vars": variables(r.repo),
	}}
}

// scope gives what the expressions of t see before its matrix is expanded.
func (s *Sim) scope(t *task) expr.Scope {
	needs := map[string]any{}
	status := expr.Success
	for _, n := range t.def.Needs {
		need := t.flow.task(n)
		needs[need.def.Key] = map[string]any{"result": need.result, "outputs": need.outputs}
		status = max(status, need.standing)
	}
	if t.flow.isCanceled() {
		status = expr.Canceled
	}
	return expr.Scope{Status: status, Contexts: map[string]any{
		"github": s.githubContext(t.flow.run, t), "needs": needs, "inputs": t.flow.inputs, "vars": variables(t.flow.run.repo),
	}}
}

// titleOf gives a run's name as its page shows it.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#run-name
func (s *Sim) titleOf(r *run) string {
	if r.root != nil && r.root.file.RunName != "" {
		if title, err := s.runScope(r).Expand(r.root.file.RunName); err == nil && title != "" {
			return title
		}
	}
	if r.Event == "push" {
		return firstLine(r.commit.Message)
	}
	return r.Workflow
}

// A leg is one leg of a task, before it is a job or a call.
type leg struct {
	workflow.Leg
	index int
	scope expr.Scope // with matrix and strategy
}

// expand makes t's jobs or calls, or ends it without: skipped by its condition, or
// failed by a wrong expression. The caller holds mu.
func (s *Sim) expand(t *task) {
	scope := s.scope(t)
	t.standing = scope.Status
	wanted, err := scope.Condition(t.def.If)
	var legs []leg
	var parallel int
	if err == nil && wanted {
		legs, parallel, err = t.legs(scope)
	}
	if err != nil || !wanted || len(legs) == 0 {
		s.expandToNothing(t, scope, err)
		return
	}
	starts := s.prepare(t, legs)
	for i, start := range starts {
		if parallel > 0 && i >= parallel {
			t.held = append(t.held, starts[i:]...)
			break
		}
		start()
	}
	if t.result == "" && t.ended() { // each was carried over
		t.conclude()
	}
}

// prepare makes the jobs or calls of legs, all before the first starts, as one that
// is at fault ends others. It gives the starts of those that are to run.
func (s *Sim) prepare(t *task, legs []leg) []func() {
	var starts []func()
	for _, l := range legs {
		switch old := t.keep[l.index]; {
		case old != nil:
			s.carryOver(t, old)
		case t.def.Uses != "":
			starts = append(starts, s.prepareCall(t, l))
		default:
			j := s.newJob(t, l)
			t.jobs = append(t.jobs, j)
			starts = append(starts, func() { s.startLeg(j) })
		}
	}
	return starts
}

// startLeg queues j, or fails it if it is at fault.
func (s *Sim) startLeg(j *job) {
	switch {
	case j.Status == StatusCompleted: // by another's fault
	case j.Fault != "":
		s.finish(j, Failure)
	default:
		s.queueJob(j)
	}
}

// legs expands t's strategy.
func (t *task) legs(scope expr.Scope) (legs []leg, parallel int, err error) {
	all, err := t.def.Matrix.Legs(scope)
	if err != nil {
		return nil, 0, t.errorf("strategy", err)
	}
	fast, err := scope.Resolve(t.def.FailFast)
	if err != nil {
		return nil, 0, t.errorf("fail-fast", err)
	}
	t.failFast = isTrue(fast)
	limit, err := scope.Resolve(t.def.MaxParallel)
	if err != nil {
		return nil, 0, t.errorf("max-parallel", err)
	}
	parallel = int(expr.Number(limit))
	for i, l := range all {
		most := parallel
		if most <= 0 {
			most = len(all)
		}
		contexts := maps.Clone(scope.Contexts)
		contexts["matrix"] = map[string]any(l.Values)
		contexts["strategy"] = map[string]any{
			"fail-fast": t.failFast, "job-index": float64(i), "job-total": float64(len(all)), "max-parallel": float64(most),
		}
		legs = append(legs, leg{l, i, expr.Scope{Contexts: contexts, Status: scope.Status}})
	}
	return legs, parallel, nil
}

// errorf words a wrong expression as GitHub does.
// https://github.com/actions/runner/blob/main/src/Sdk/WorkflowParser/WorkflowTemplateEvaluator.cs
func (t *task) errorf(part string, err error) error {
	return fmt.Errorf("error when evaluating '%s' for job '%s': %w", part, t.def.Key, err)
}

// isTrue reads a boolean, or the text of one.
func isTrue(v expr.Value) bool { return expr.Truthy(v) && v != "false" }

// expandToNothing gives t one job that has ended before it began. Its name and
// labels are never expanded.
func (s *Sim) expandToNothing(t *task, scope expr.Scope, err error) {
	conclusion := Skipped
	if t.flow.isCanceled() {
		conclusion = Cancelled
	}
	j := s.bareJob(t, leg{scope: scope})
	j.Name = t.flow.prefix + first(t.def.Name, t.def.Key)
	if err != nil {
		conclusion, j.Fault = Failure, err.Error()
	}
	t.jobs = []*job{j}
	s.finish(j, conclusion)
}

// bareJob returns a job of t without the parts that are still to be expanded.
func (s *Sim) bareJob(t *task, l leg) *job {
	r := t.flow.run
	j := &job{
		Job: Job{
			ID: s.nextID(), RunID: r.ID, Attempt: r.Attempt, Repository: r.Repository, Workflow: r.Workflow,
			Key: t.def.Key, Labels: []string{}, Status: StatusQueued, Created: s.now(),
		},
		run: r, task: t, leg: l.Leg, index: l.index, scope: l.scope, guid: newUUID(),
	}
	s.jobs[j.ID], s.guids[j.guid] = j, j
	return j
}

// newJob makes the job of one leg. A wrong expression becomes its Fault.
func (s *Sim) newJob(t *task, l leg) *job {
	j := s.bareJob(t, l)
	if err := j.fill(t.def); err != nil {
		j.Fault = err.Error()
		s.log.Warn("job is at fault", "job", j.ID, "err", err)
	}
	return j
}

// fill expands what of the job's definition the server expands.
func (j *job) fill(def *workflow.Job) error {
	name, err := j.task.nameOf(j.leg, j.scope)
	j.Name = j.task.flow.prefix + name
	if err != nil {
		return err
	}
	if j.Group, err = j.scope.Expand(def.Group); err != nil {
		return j.task.errorf("runs-on", err)
	}
	if j.Labels, err = j.labels(def); err != nil {
		return j.task.errorf("runs-on", err)
	}
	if j.Environment, err = j.scope.Expand(def.Environment); err != nil {
		return j.task.errorf("environment", err)
	}
	forgiven, err := j.scope.Resolve(def.ContinueOnError)
	if err != nil {
		return j.task.errorf("continue-on-error", err)
	}
	j.forgiven = isTrue(forgiven)
	return j.fillTimeout(def)
}

// fillTimeout expands timeout-minutes, of which GitHub takes whole minutes.
func (j *job) fillTimeout(def *workflow.Job) error {
	v, err := j.scope.Resolve(def.Timeout)
	if err != nil {
		return j.task.errorf("timeout-minutes", err)
	}
	j.minutes = expr.Number(v)
	if !(j.minutes > 0) {
		return j.task.errorf("timeout-minutes", fmt.Errorf("%q: want a number of minutes", expr.Text(v)))
	}
	return nil
}

// nameOf gives the name of a leg of t, without the prefix of its flow.
func (t *task) nameOf(l workflow.Leg, scope expr.Scope) (string, error) {
	if !expr.Has(t.def.Name) {
		return l.Name(first(t.def.Name, t.def.Key)), nil
	}
	name, err := scope.Expand(t.def.Name)
	if err != nil {
		return t.def.Name, t.errorf("name", err)
	}
	return first(name, l.Name(t.def.Key)), nil
}

// labels expands runs-on, which may be one expression that yields a list, or an
// object of group and labels.
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
	if object, isObject := v.(map[string]any); isObject {
		j.Group, v = expr.Text(object["group"]), object["labels"]
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			labels = append(labels, expr.Text(item))
		}
	case string:
		labels = append(labels, v)
	case nil:
		if j.Group == "" {
			return nil, fmt.Errorf("%s: unexpected value ''", def.LabelsFrom)
		}
	default:
		return nil, fmt.Errorf("%s: want a label or a list of labels", def.LabelsFrom)
	}
	return labels, nil
}

// queueJob has j wait: for its concurrency group, for approval if its environment
// asks for that, and for a runner. The caller holds mu.
func (s *Sim) queueJob(j *job) {
	p, err := s.permitFor(j.task.def.Concurrency, j.scope, j.run.repo)
	switch {
	case err != nil:
		j.Fault = j.task.errorf("concurrency", err).Error()
		s.finish(j, Failure)
		return
	case p == nil:
		s.deploy(j)
		return
	case j.task.flow.has(p.key):
		j.Fault = deadlock(p.name, j.Key)
		s.finish(j, Cancelled)
		return
	}
	p.begin = func() { s.deploy(j) }
	p.stop = func(why string) { j.Fault = why; s.cancelJob(j) }
	j.permit, j.Status = p, StatusPending
	s.enter(p)
}

// await has j wait for a runner. The caller holds mu.
func (s *Sim) await(j *job) {
	j.Status, j.queued = StatusQueued, s.now()
	s.settle(j.run)
	s.announceJob(j, StatusQueued)
	s.enqueue(j)
}

// variables gives the context vars of a repository's workflows.
func variables(repo *repository) map[string]any {
	out := map[string]any{}
	for k, v := range repo.variables {
		out[k] = v
	}
	return out
}

// minutesText gives a number of minutes as runners read it.
func minutesText(minutes float64) string { return strconv.FormatFloat(minutes, 'f', -1, 64) }
