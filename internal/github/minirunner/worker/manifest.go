package worker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// An action is what action.yml says.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
type action struct {
	dir     string // where it is
	inputs  []input
	outputs []output // of a composite action
	runs    runs
}

type input struct {
	name       string
	value      *templ // default
	deprecated string
}

type output struct {
	name  string
	value *templ
}

// runs is how an action runs.
type runs struct {
	using        string
	main         string
	pre, preIf   string
	post, postIf string
	image        string
	entrypoint   string
	args         *templ // nil when there are none
	env          *templ
	steps        []*stepMessage
}

func (a *action) composite() bool { return a.runs.using == "composite" }
func (a *action) wantsPost() bool { return a.runs.post != "" }

// usings are the ways to run that GitHub's runner knows (ActionManifestManager.cs).
var usings = [...]string{"docker", "node12", "node16", "node20", "node24", "composite"}

// parseManifest reads an action.yml. What it has that GitHub's runner does not
// know is an error in steps, as there, and of no matter elsewhere.
func parseManifest(text []byte) (*action, error) {
	var file struct {
		Inputs  yaml.MapSlice `yaml:"inputs"`
		Outputs yaml.MapSlice `yaml:"outputs"`
		Runs    yaml.MapSlice `yaml:"runs"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	a := &action{}
	for _, item := range file.Inputs {
		in := input{name: fmt.Sprint(item.Key)}
		for _, field := range mapping(item.Value) {
			switch field.Key {
			case "default":
				in.value = token(field.Value)
			case "deprecationMessage":
				in.deprecated = fmt.Sprint(field.Value)
			}
		}
		a.inputs = append(a.inputs, in)
	}
	for _, item := range file.Outputs {
		for _, field := range mapping(item.Value) {
			if field.Key == "value" {
				a.outputs = append(a.outputs, output{fmt.Sprint(item.Key), token(field.Value)})
			}
		}
	}
	var err error
	a.runs, err = parseRuns(file.Runs)
	return a, err
}

func parseRuns(fields yaml.MapSlice) (runs, error) {
	var r runs
	texts := map[string]*string{
		"using": &r.using, "main": &r.main, "pre": &r.pre, "pre-if": &r.preIf, "post": &r.post, "post-if": &r.postIf, "image": &r.image,
		"entrypoint": &r.entrypoint, "pre-entrypoint": &r.pre, "post-entrypoint": &r.post,
	}
	var steps []any
	for _, field := range fields {
		key := fmt.Sprint(field.Key)
		if to, ok := texts[key]; ok {
			*to = fmt.Sprint(field.Value)
			continue
		}
		switch key {
		case "steps":
			steps, _ = field.Value.([]any)
		case "args":
			r.args = token(field.Value)
		case "env":
			r.env = token(field.Value)
		}
	}
	r.using = strings.ToLower(r.using)
	switch {
	case !slices.Contains(usings[:], r.using):
		return r, wire.Said("'using: %s' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead.", r.using)
	case r.using == "docker" && r.image == "":
		return r, wire.Said("You are using a Container Action but an image is not provided in action.yml.")
	case strings.HasPrefix(r.using, "node") && r.main == "":
		return r, wire.Said("You are using a JavaScript Action but there is not an entry JavaScript file provided in action.yml.")
	case r.using == "composite" && steps == nil:
		return r, wire.Said("You are using a composite action but there are no steps provided in action.yml.")
	}
	for i, step := range steps {
		m, err := parseStep(mapping(step))
		if err != nil {
			return r, fmt.Errorf("step %d: %w", i+1, err)
		}
		r.steps = append(r.steps, m)
	}
	return r, nil
}

// parseStep reads a step of a composite action.
func parseStep(fields yaml.MapSlice) (*stepMessage, error) {
	m := &stepMessage{ID: newID(), Reference: reference{Type: typeScript}}
	var script []pair
	var used bool
	for _, field := range fields {
		switch text := fmt.Sprint(field.Value); field.Key {
		case "id":
			m.ContextName = text
		case "name":
			m.DisplayName = token(field.Value)
		case "if":
			m.Condition = text
		case "env":
			m.Environment = token(field.Value)
		case "continue-on-error":
			m.ContinueOnError = token(field.Value)
		case "with":
			m.Inputs = token(field.Value)
		case "uses":
			m.Reference, used = uses(text), true
		case "run":
			script = append(script, pair{"script", text})
		case "shell":
			script = append(script, pair{"shell", text})
		case "working-directory":
			script = append(script, pair{"workingDirectory", text})
		default:
			return nil, wire.Said("Unexpected value '%v'", field.Key)
		}
	}
	if used {
		return m, nil
	}
	m.Inputs = &templ{Type: mappingToken}
	for _, p := range script {
		m.Inputs.Map = append(m.Inputs.Map, templPair{templ{Lit: p.name}, *token(p.value)})
	}
	for _, required := range []string{"script", "shell"} {
		if !slices.ContainsFunc(script, func(p pair) bool { return p.name == required }) {
			return nil, wire.Said("Required property is missing: %s", strings.Replace(required, "script", "run", 1))
		}
	}
	return m, nil
}

// mapping is a YAML mapping in its order; of anything else it is empty.
func mapping(v any) yaml.MapSlice {
	switch v := v.(type) {
	case yaml.MapSlice:
		return v
	case map[string]any:
		var all yaml.MapSlice
		for _, k := range sortedKeys(v) {
			all = append(all, yaml.MapItem{Key: k, Value: v[k]})
		}
		return all
	}
	return nil
}

// token is a YAML value as a template.
func token(v any) *templ {
	switch v := v.(type) {
	case nil:
		return &templ{Type: nullToken}
	case bool:
		return &templ{Type: boolToken, Bool: v}
	case string:
		if expr.Has(v) {
			return &templ{Type: exprToken, Expr: expr.Format(v)}
		}
		return &templ{Lit: v}
	case []any:
		t := &templ{Type: sequenceToken}
		for _, item := range v {
			t.Seq = append(t.Seq, *token(item))
		}
		return t
	case yaml.MapSlice, map[string]any:
		t := &templ{Type: mappingToken}
		for _, item := range mapping(v) {
			t.Map = append(t.Map, templPair{*token(fmt.Sprint(item.Key)), *token(item.Value)})
		}
		return t
	}
	return &templ{Lit: fmt.Sprint(v)} // numbers are texts wherever an action has them
}
