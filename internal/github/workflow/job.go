package workflow

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// The contexts that the server knows, by place.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability
var (
	runContexts       = []string{"github", "inputs", "vars"}
	conditionContexts = []string{"github", "needs", "vars", "inputs"}
	jobContexts       = []string{"github", "needs", "strategy", "matrix", "vars", "inputs"}
)

func (r *reader) job(j *actionlint.Job, defaults *actionlint.Defaults) Job {
	raw := r.newer.Jobs[j.ID.Value]
	out := Job{
		Key: j.ID.Value, Line: j.Pos.Line, Column: j.Pos.Col, Name: text(j.Name), If: text(j.If),
		Env: r.env(j.Env), Timeout: DefaultTimeout, FailFast: "true",
		ContinueOnError: boolText(j.ContinueOnError),
		Concurrency:     r.concurrency(j.Concurrency, raw.Concurrency, jobContexts),
		Container:       r.container(j.Container, raw.Container), Services: r.services(j.Services, raw.Services),
	}
	r.condition(j.If, conditionContexts)
	r.check(j.Name, jobContexts...)
	for _, n := range j.Needs {
		out.Needs = append(out.Needs, n.Value)
	}
	r.runsOn(&out, j)
	r.calls(&out, j.WorkflowCall)
	r.limits(&out, j)
	if j.Environment != nil {
		out.Environment, out.Deployment = text(j.Environment.Name), boolText(j.Environment.Deployment)
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

// condition checks an if:, which may stand without ${{ }}.
func (r *reader) condition(s *actionlint.String, contexts []string) {
	if s == nil || strings.TrimSpace(s.Value) == "" {
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
		return // it calls a workflow, whose jobs have their own
	}
	for _, s := range append([]*actionlint.String{j.RunsOn.LabelsExpr, j.RunsOn.Group}, j.RunsOn.Labels...) {
		if s != nil && (out.RunsOnLine == 0 || s.Pos.Line < out.RunsOnLine || s.Pos.Line == out.RunsOnLine && s.Pos.Col < out.RunsOnCol) {
			out.RunsOnLine, out.RunsOnCol = s.Pos.Line, s.Pos.Col
		}
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
		r.check(j.TimeoutMinutes.Expression, jobContexts...)
		out.Timeout = numberText(j.TimeoutMinutes)
	}
	if j.Strategy == nil {
		return
	}
	if f := j.Strategy.FailFast; f != nil {
		r.check(f.Expression, conditionContexts...)
		out.FailFast = boolText(f)
	}
	if p := j.Strategy.MaxParallel; p != nil {
		r.check(p.Expression, conditionContexts...)
		out.MaxParallel = strconv.Itoa(p.Value)
		if p.Expression != nil {
			out.MaxParallel = p.Expression.Value
		}
	}
	if m := j.Strategy.Matrix; m != nil {
		out.Matrix = r.matrix(m)
	}
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
			values.Values = append(values.Values, r.value(v))
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
			r.check(c.Expression, conditionContexts...)
			out.List = append(out.List, Leg{From: c.Expression.Value})
			continue
		}
		leg := Leg{}
		for _, a := range byPosition(c.Assigns, func(a *actionlint.MatrixAssign) *actionlint.Pos { return a.Key.Pos }) {
			leg = leg.with(a.Key.Value, r.value(a.Value))
		}
		out.List = append(out.List, leg)
	}
	return out
}

func (r *reader) step(s *actionlint.Step) Step {
	out := Step{
		ID: text(s.ID), Name: text(s.Name), If: text(s.If),
		Env: r.env(s.Env), ContinueOnError: boolText(s.ContinueOnError), Timeout: numberText(s.TimeoutMinutes),
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
