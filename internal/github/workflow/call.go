package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// An Interface has the inputs, secrets and outputs of a workflow that can be dispatched or called.
type Interface struct {
	Inputs  []Input
	Secrets []Secret   // of workflow_call
	Outputs []Variable // of workflow_call; they read jobs
}

// An Input is one input of workflow_dispatch or workflow_call.
type Input struct {
	Name     string
	Type     string // "string", "boolean", "number", "choice" or "environment"
	Required bool
	Default  string // may hold ${{ }}; "" if it has none
	Options  []string
}

// A Secret is one that a called workflow asks for.
type Secret struct {
	Name     string
	Required bool
}

func (r *reader) dispatch(e *actionlint.WorkflowDispatchEvent) *Interface {
	types := map[actionlint.WorkflowDispatchEventInputType]string{
		actionlint.WorkflowDispatchEventInputTypeNumber: "number", actionlint.WorkflowDispatchEventInputTypeBoolean: "boolean",
		actionlint.WorkflowDispatchEventInputTypeChoice: "choice", actionlint.WorkflowDispatchEventInputTypeEnvironment: "environment",
	}
	out := &Interface{}
	for _, in := range byPosition(e.Inputs, func(in *actionlint.DispatchInput) *actionlint.Pos { return in.Name.Pos }) {
		input := Input{Name: in.Name.Value, Type: types[in.Type], Required: boolText(in.Required) == "true", Default: text(in.Default)}
		if input.Type == "" {
			input.Type = "string"
		}
		for _, o := range in.Options {
			input.Options = append(input.Options, o.Value)
		}
		out.Inputs = append(out.Inputs, input)
	}
	return out
}

func (r *reader) call(e *actionlint.WorkflowCallEvent) *Interface {
	types := map[actionlint.WorkflowCallEventInputType]string{
		actionlint.WorkflowCallEventInputTypeBoolean: "boolean", actionlint.WorkflowCallEventInputTypeNumber: "number",
		actionlint.WorkflowCallEventInputTypeString: "string",
	}
	out := &Interface{}
	for _, in := range e.Inputs {
		r.check(in.Default, runContexts...)
		out.Inputs = append(out.Inputs, Input{
			Name: in.Name.Value, Type: types[in.Type], Required: boolText(in.Required) == "true", Default: text(in.Default),
		})
	}
	for _, s := range byPosition(e.Secrets, func(s *actionlint.WorkflowCallEventSecret) *actionlint.Pos { return s.Name.Pos }) {
		out.Secrets = append(out.Secrets, Secret{s.Name.Value, boolText(s.Required) == "true"})
	}
	for _, o := range byPosition(e.Outputs, func(o *actionlint.WorkflowCallEventOutput) *actionlint.Pos { return o.Name.Pos }) {
		r.check(o.Value, "github", "jobs", "vars", "inputs")
		out.Outputs = append(out.Outputs, Variable{o.Name.Value, text(o.Value)})
	}
	return out
}

// calls reads uses, with and secrets of a job.
func (r *reader) calls(out *Job, c *actionlint.WorkflowCall) {
	if c == nil {
		return
	}
	out.Uses, out.InheritSecrets = text(c.Uses), c.InheritSecrets
	out.Line, out.Column = c.Uses.Pos.Line, c.Uses.Pos.Col
	if _, err := ParseReference(out.Uses); err != nil {
		r.fault(c.Uses.Pos, "%v", err)
	}
	for _, in := range byPosition(c.Inputs, func(in *actionlint.WorkflowCallInput) *actionlint.Pos { return in.Name.Pos }) {
		r.check(in.Value, jobContexts...)
		out.With = append(out.With, Variable{in.Name.Value, text(in.Value)})
	}
	for _, s := range byPosition(c.Secrets, func(s *actionlint.WorkflowCallSecret) *actionlint.Pos { return s.Name.Pos }) {
		out.Secrets = append(out.Secrets, Variable{s.Name.Value, text(s.Value)})
	}
}

// A Reference is what uses of a job says: a file of the same commit, or of a ref
// of another repository.
type Reference struct {
	Repository string // owner/name; "" for the caller's own, at the caller's commit
	Path       string // such as .github/workflows/x.yml
	Ref        string // branch, tag or commit; "" for the caller's commit
}

// ParseReference reads the text of uses.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_iduses
func ParseReference(uses string) (Reference, error) {
	fault := fmt.Errorf("uses %q: want ./.github/workflows/FILE.yml or OWNER/REPO/.github/workflows/FILE.yml@REF", uses)
	if local, found := strings.CutPrefix(uses, "./"); found {
		if !IsFile(local) {
			return Reference{}, fault
		}
		return Reference{Path: local}, nil
	}
	name, ref, found := strings.Cut(uses, "@")
	parts := strings.SplitN(name, "/", 3)
	if !found || ref == "" || len(parts) != 3 || !IsFile(parts[2]) {
		return Reference{}, fault
	}
	return Reference{parts[0] + "/" + parts[1], parts[2], ref}, nil
}

// CheckCall returns what GitHub would refuse of a job that calls the interface: an
// input or a secret that is not there, or a required one that is missing.
func (i *Interface) CheckCall(j *Job) error {
	var faults []error
	given := func(list []Variable, name string) bool {
		return slices.ContainsFunc(list, func(v Variable) bool { return strings.EqualFold(v.Name, name) })
	}
	for _, v := range j.With {
		if i.input(v.Name) == nil {
			faults = append(faults, fmt.Errorf("invalid input, %s is not defined in the referenced workflow", v.Name))
		}
	}
	for _, in := range i.Inputs {
		if in.Required && in.Default == "" && !given(j.With, in.Name) {
			faults = append(faults, fmt.Errorf("input %s is required, but not provided while calling", in.Name))
		}
	}
	for _, s := range i.Secrets {
		if s.Required && !j.InheritSecrets && !given(j.Secrets, s.Name) {
			faults = append(faults, fmt.Errorf("secret %s is required, but not provided while calling", s.Name))
		}
	}
	return errors.Join(faults...)
}

func (i *Interface) input(name string) *Input {
	for n := range i.Inputs {
		if strings.EqualFold(i.Inputs[n].Name, name) {
			return &i.Inputs[n]
		}
	}
	return nil
}

// Values gives each input its typed value: given, or else its default, whose ${{ }}
// scope evaluates. An error is about the given values.
func (i *Interface) Values(given map[string]expr.Value, scope expr.Scope) (map[string]any, error) {
	values := map[string]any{}
	for name := range given {
		if i.input(name) == nil {
			return nil, fmt.Errorf("unexpected inputs provided: [%q]", name)
		}
	}
	for _, in := range i.Inputs {
		v, err := in.value(given, scope)
		if err != nil {
			return nil, err
		}
		values[in.Name] = v
	}
	return values, nil
}

func (in *Input) value(given map[string]expr.Value, scope expr.Scope) (expr.Value, error) {
	for name, v := range given {
		if strings.EqualFold(name, in.Name) {
			return in.typed(v)
		}
	}
	if in.Default == "" {
		if in.Required {
			return nil, fmt.Errorf("required input %q not provided", in.Name)
		}
		return in.zero(), nil
	}
	v, err := scope.Resolve(in.Default)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.Name, err)
	}
	return in.typed(v)
}

// zero is what an input has that nobody gave.
func (in *Input) zero() expr.Value {
	switch in.Type {
	case "boolean":
		return false
	case "number":
		return 0.0
	case "choice":
		if len(in.Options) > 0 {
			return in.Options[0]
		}
	}
	return ""
}

// typed gives v the input's type. A start by hand gives texts, which are read.
func (in *Input) typed(v expr.Value) (expr.Value, error) {
	text := expr.Text(v)
	switch in.Type {
	case "boolean":
		b, err := strconv.ParseBool(text)
		if err != nil || text != "true" && text != "false" {
			return nil, fmt.Errorf("input %q: %q: want true or false", in.Name, text)
		}
		return b, nil
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("input %q: %q: want a number", in.Name, text)
		}
		return n, nil
	case "choice":
		if !slices.Contains(in.Options, text) {
			return nil, fmt.Errorf("input %q: %q: want one of %q", in.Name, text, in.Options)
		}
	}
	return text, nil
}
