package workflow

import (
	"cmp"

	"github.com/rhysd/actionlint"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// The contexts that the server knows, by place.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability
var (
	conditionContexts = []string{"github", "needs", "vars", "inputs"}
	jobContexts       = []string{"github", "needs", "strategy", "matrix", "vars", "inputs"}
)

func (r *reader) job(j *actionlint.Job, defaults *actionlint.Defaults) Job {
	r.unsupported(j)
	out := Job{
		Key: j.ID.Value, Name: text(j.Name), If: text(j.If),
		Env: r.env(j.Env), Timeout: DefaultTimeout, FailFast: true,
		ContinueOnError: boolText(j.ContinueOnError),
	}
	r.condition(j.If, conditionContexts)
	r.check(j.Name, jobContexts...)
	for _, n := range j.Needs {
		out.Needs = append(out.Needs, n.Value)
	}
	r.runsOn(&out, j)
	r.limits(&out, j)
	if j.Environment != nil {
		out.Environment = text(j.Environment.Name)
		r.check(j.Environment.Name, jobContexts...)
	}
	for _, o := range byPosition(j.Outputs, func(o *actionlint.Output) *actionlint.Pos { return o.Name.Pos }) {
		out.Outputs = append(out.Outputs, Variable{o.Name.Value, text(o.Value)})
	}
	for _, d := range []*actionlint.Defaults{defaults, j.Defaults} {
		if d != nil && d.Run != nil {
			out.Shell = cmp.Or(text(d.Run.Shell), out.Shell)
			out.WorkingDirectory = cmp.Or(text(d.Run.WorkingDirectory), out.WorkingDirectory)
		}
	}
	for _, s := range j.Steps {
		out.Steps = append(out.Steps, r.step(s))
	}
	return out
}

// unsupported faults what githubsim has not got, rather than ignore it.
func (r *reader) unsupported(j *actionlint.Job) {
	switch {
	case j.WorkflowCall != nil:
		r.fault(j.WorkflowCall.Uses.Pos, "job %q: reusable workflows are not supported by githubsim", j.ID.Value)
	case j.Container != nil:
		r.fault(j.Container.Pos, "job %q: container is not supported by githubsim", j.ID.Value)
	case j.Services != nil:
		r.fault(j.Services.Pos, "job %q: services are not supported by githubsim", j.ID.Value)
	case j.Concurrency != nil:
		r.fault(j.Concurrency.Pos, "job %q: concurrency is not supported by githubsim", j.ID.Value)
	}
}

// condition checks an if:, which may stand without ${{ }}.
func (r *reader) condition(s *actionlint.String, contexts []string) {
	if s == nil {
		return
	}
	wrapped := *s
	if !expr.Has(s.Value) {
		wrapped.Value = "${{ " + s.Value + " }}"
	}
	r.check(&wrapped, contexts...)
}

func (r *reader) runsOn(out *Job, j *actionlint.Job) {
	if j.RunsOn == nil {
		return // a reusable workflow, which is a fault already
	}
	out.Group = text(j.RunsOn.Group)
	out.LabelsFrom = text(j.RunsOn.LabelsExpr)
	r.check(j.RunsOn.Group, jobContexts...)
	r.check(j.RunsOn.LabelsExpr, jobContexts...)
	for _, l := range j.RunsOn.Labels {
		r.check(l, jobContexts...)
		out.Labels = append(out.Labels, l.Value)
	}
}

// limits reads timeout-minutes and strategy.
func (r *reader) limits(out *Job, j *actionlint.Job) {
	if j.TimeoutMinutes != nil {
		out.Timeout = r.minutes(j.TimeoutMinutes)
	}
	if j.Strategy == nil {
		return
	}
	if f := j.Strategy.FailFast; f != nil {
		if f.Expression != nil {
			r.fault(f.Pos, "fail-fast as an expression is not supported by githubsim")
		}
		out.FailFast = f.Value
	}
	if p := j.Strategy.MaxParallel; p != nil {
		if p.Expression != nil {
			r.fault(p.Pos, "max-parallel as an expression is not supported by githubsim")
		}
		out.MaxParallel = p.Value
	}
	if m := j.Strategy.Matrix; m != nil {
		out.Matrix = r.matrix(m)
	}
}

func (r *reader) minutes(f *actionlint.Float) float64 {
	if f.Expression != nil {
		r.fault(f.Pos, "timeout-minutes as an expression is not supported by githubsim")
	}
	return f.Value
}

func (r *reader) matrix(m *actionlint.Matrix) *Matrix {
	r.check(m.Expression, conditionContexts...)
	out := &Matrix{From: text(m.Expression), Include: r.combinations(m.Include), Exclude: r.combinations(m.Exclude)}
	for key, row := range m.Rows {
		if row.Name == nil { // of a row that is one expression, actionlint keeps the lower-case key only
			row.Name = &actionlint.String{Value: key, Pos: row.Expression.Pos}
		}
	}
	for _, row := range byPosition(m.Rows, func(row *actionlint.MatrixRow) *actionlint.Pos { return row.Name.Pos }) {
		r.check(row.Expression, conditionContexts...)
		values := Row{Name: row.Name.Value, From: text(row.Expression)}
		for _, v := range row.Values {
			values.Values = append(values.Values, value(v))
		}
		out.Rows = append(out.Rows, values)
	}
	return out
}

func (r *reader) combinations(m *actionlint.MatrixCombinations) Combinations {
	if m == nil {
		return Combinations{}
	}
	r.check(m.Expression, conditionContexts...)
	out := Combinations{From: text(m.Expression)}
	for _, c := range m.Combinations {
		if c.Expression != nil {
			r.fault(c.Expression.Pos, "an entry of include or exclude as one expression is not supported by githubsim")
			continue
		}
		leg := Leg{}
		for _, a := range byPosition(c.Assigns, func(a *actionlint.MatrixAssign) *actionlint.Pos { return a.Key.Pos }) {
			leg = leg.with(a.Key.Value, value(a.Value))
		}
		out.List = append(out.List, leg)
	}
	return out
}

func value(raw actionlint.RawYAMLValue) expr.Value {
	switch v := raw.(type) {
	case *actionlint.RawYAMLObject:
		object := map[string]any{}
		for k, p := range v.Props {
			object[k] = value(p)
		}
		return object
	case *actionlint.RawYAMLArray:
		list := []any{}
		for _, e := range v.Elems {
			list = append(list, value(e))
		}
		return list
	case *actionlint.RawYAMLString:
		return scalar(v.Value)
	}
	return nil
}

func (r *reader) step(s *actionlint.Step) Step {
	out := Step{
		ID: text(s.ID), Name: text(s.Name), If: text(s.If),
		Env: r.env(s.Env), ContinueOnError: boolText(s.ContinueOnError),
	}
	if s.TimeoutMinutes != nil {
		out.Timeout = r.minutes(s.TimeoutMinutes)
	}
	switch e := s.Exec.(type) {
	case *actionlint.ExecRun:
		out.Run, out.Shell, out.WorkingDirectory = text(e.Run), text(e.Shell), text(e.WorkingDirectory)
	case *actionlint.ExecAction:
		out.Uses = text(e.Uses)
		if !usable(out.Uses) {
			r.fault(e.Uses.Pos, "uses %q: want owner/name@ref, owner/name/path@ref, ./path or docker://image", out.Uses)
		}
		for _, in := range byPosition(e.Inputs, func(in *actionlint.Input) *actionlint.Pos { return in.Name.Pos }) {
			out.With = append(out.With, Variable{in.Name.Value, text(in.Value)})
		}
	}
	return out
}
