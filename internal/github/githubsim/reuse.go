package githubsim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// An origin is where a workflow file comes from: what ./ means in it.
type origin struct {
	repo   *repository
	commit git.Commit
}

// A callee is a workflow that a job calls, read when the run starts.
type callee struct {
	file  *workflow.Workflow
	from  origin
	calls map[string]*callee // by uses
}

// maxDepth is how many workflows may call each other, the first included.
// https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations#limitations-of-reusable-workflows
const maxDepth = 10

// loadCalls reads the workflows that f's jobs call, and those that they call. What
// GitHub would refuse is a fault of the run.
func (s *Sim) loadCalls(f *flow, faults []workflow.Fault) []workflow.Fault {
	f.calls, faults = s.load(f.file, f.origin, faults, 1)
	return faults
}

func (s *Sim) load(file *workflow.Workflow, from origin, faults []workflow.Fault, depth int) (map[string]*callee, []workflow.Fault) {
	calls := map[string]*callee{}
	for i := range file.Jobs {
		def := &file.Jobs[i]
		if def.Uses == "" {
			continue
		}
		c, err := s.callee(def, from, depth)
		if err != nil {
			faults = append(faults, workflow.Fault{
				File: file.Path, Line: def.Line, Column: def.Column,
				Message: fmt.Sprintf("error parsing called workflow %q -> %q: %v", file.Path, def.Uses, err),
			})
			continue
		}
		c.calls, faults = s.load(c.file, c.from, faults, depth+1)
		calls[def.Uses] = c
	}
	return calls, faults
}

// callee finds and reads the workflow that def calls.
func (s *Sim) callee(def *workflow.Job, from origin, depth int) (*callee, error) {
	if depth >= maxDepth {
		return nil, fmt.Errorf("nested reusable workflow depth exceeded %d", maxDepth)
	}
	ref, err := workflow.ParseReference(def.Uses)
	if err != nil {
		return nil, err
	}
	if ref.Repository != "" {
		if from, err = s.remote(ref, from); err != nil {
			return nil, err
		}
	}
	text, found := from.commit.Files[ref.Path]
	if !found {
		return nil, errors.New("workflow was not found")
	}
	file, faults := workflow.Parse(ref.Path, []byte(text))
	switch {
	case len(faults) > 0:
		return nil, faults[0]
	case file.Call == nil:
		return nil, errors.New("workflow_call key is not defined in the referenced workflow")
	}
	return &callee{file: file, from: from}, file.Call.CheckCall(def)
}

// remote finds the commit of another repository. A private one serves its owner's
// repositories only.
// https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations#access-to-reusable-workflows
func (s *Sim) remote(ref workflow.Reference, caller origin) (origin, error) {
	repo := s.repository(ref.Repository)
	if repo == nil || repo.private && repo.owner != caller.repo.owner {
		return origin{}, errors.New("workflow was not found")
	}
	if _, head, found := repo.find(ref.Ref); found {
		return origin{repo, head}, nil
	}
	commit, err := repo.git.Read(context.Background(), ref.Ref, workflow.IsFile)
	if err != nil {
		return origin{}, errors.New("reference to workflow should be either a valid branch, tag, or commit")
	}
	return origin{repo, commit}, nil
}

// prepareCall makes the flow of one leg of t, which calls a workflow, and gives its
// start.
func (s *Sim) prepareCall(t *task, l leg) func() {
	c := t.flow.calls[t.def.Uses]
	f := newFlow(t.flow.run, c.file, c.from)
	f.caller, f.calls = t, c.calls
	t.calls = append(t.calls, f)
	name, err := t.nameOf(l.Leg, l.scope)
	f.prefix = t.flow.prefix + name + " / "
	if err == nil {
		f.inputs, err = t.give(c.file.Call, l.scope)
	}
	if err == nil {
		f.secrets, err = t.giveSecrets(l.scope)
	}
	f.start = func() {
		if err != nil {
			s.failCall(f, l, err)
			return
		}
		s.startCall(f, l.scope)
	}
	return f.start
}

// give evaluates with: what a called workflow gets.
func (t *task) give(call *workflow.Interface, scope expr.Scope) (map[string]any, error) {
	given := map[string]expr.Value{}
	for _, v := range t.def.With {
		value, err := scope.Resolve(v.Value)
		if err != nil {
			return nil, t.errorf("with", err)
		}
		given[v.Name] = value
	}
	values, err := call.Values(given, scope)
	if err != nil {
		return nil, t.errorf("with", err)
	}
	return values, nil
}

// giveSecrets evaluates secrets: those that a called workflow gets.
func (t *task) giveSecrets(scope expr.Scope) (map[string]string, error) {
	if t.def.InheritSecrets {
		return t.flow.secrets, nil
	}
	known := map[string]any{}
	for k, v := range t.flow.secrets {
		known[k] = v
	}
	scope.Contexts = merged(scope.Contexts, map[string]any{"secrets": known})
	out := map[string]string{}
	for _, v := range t.def.Secrets {
		text, err := scope.Expand(v.Value)
		if err != nil {
			return nil, t.errorf("secrets", err)
		}
		out[strings.ToUpper(v.Name)] = text
	}
	return out, nil
}

// failCall ends a call that has a wrong expression, with one failed job in its place.
func (s *Sim) failCall(f *flow, l leg, err error) {
	t := f.caller
	for i, c := range t.calls {
		if c == f {
			t.calls = append(t.calls[:i:i], t.calls[i+1:]...)
			break
		}
	}
	j := s.bareJob(t, l)
	j.Name, j.Fault = strings.TrimSuffix(f.prefix, " / "), err.Error()
	t.jobs = append(t.jobs, j)
	s.finish(j, Failure)
}

// startCall begins f when the concurrency of the calling job, and then that of the
// called workflow, lets it.
func (s *Sim) startCall(f *flow, scope expr.Scope) {
	own := expr.Scope{Contexts: merged(scope.Contexts, map[string]any{"inputs": f.inputs})}
	s.enterCall(f, f.caller.def.Concurrency, scope, func() {
		s.enterCall(f, f.file.Concurrency, own, func() { s.moved(f) })
	})
}

func (s *Sim) enterCall(f *flow, c *workflow.Concurrency, scope expr.Scope, then func()) {
	p, err := s.permitFor(c, scope, f.run.repo)
	switch {
	case err != nil || p != nil && f.has(p.key):
		if err == nil {
			err = errors.New(deadlock(p.name, f.caller.def.Key))
		}
		f.run.annotate(Annotation{Level: LevelFailure, Path: f.file.Path, Message: err.Error()})
		s.cancelFlow(f)
		return
	case p == nil:
		then()
		return
	}
	p.begin = then
	p.stop = func(why string) {
		f.run.annotate(Annotation{Level: LevelFailure, Path: f.file.Path, Message: why})
		s.cancelFlow(f)
	}
	f.permits = append(f.permits, p)
	s.enter(p)
}

// outputs evaluates the outputs of the workflow that f is.
func (f *flow) outputs(s *Sim) (map[string]any, error) {
	jobs := map[string]any{}
	for _, t := range f.tasks {
		jobs[t.def.Key] = map[string]any{"result": t.result, "outputs": t.outputs}
	}
	scope := s.runScope(f.run)
	scope.Contexts = merged(scope.Contexts, map[string]any{"jobs": jobs, "inputs": f.inputs})
	out := map[string]any{}
	for _, o := range f.file.Call.Outputs {
		text, err := scope.Expand(o.Value)
		if err != nil {
			return out, fmt.Errorf("error when evaluating output %q: %w", o.Name, err)
		}
		out[o.Name] = text
	}
	return out, nil
}
