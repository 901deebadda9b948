package githubsim

import (
	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// container gives the job's container as a template token, nil if it has none.
// https://github.com/actions/runner/blob/main/src/Sdk/DTPipelines/Pipelines/ObjectTemplating/PipelineTemplateConverter.cs
func (j *job) container() any {
	c := j.task.def.Container
	if c == nil || c.Image == "" {
		return nil
	}
	if image, err := j.scope.Expand(c.Image); err == nil && image == "" {
		return nil // container: ${{ … }} that yields nothing is none
	}
	return j.containerToken(*c)
}

// services gives the job's services as a template token, nil if it has none.
func (j *job) services() any {
	if len(j.task.def.Services) == 0 {
		return nil
	}
	pairs := []any{}
	for _, s := range j.task.def.Services {
		pairs = append(pairs, pair(s.Name, j.containerToken(s.Container)))
	}
	return object{"type": tokenMapping, "map": pairs}
}

func (j *job) containerToken(c workflow.Container) object {
	pairs := []any{pair("image", j.text(c.Image))}
	for _, part := range []workflow.Variable{{Name: "options", Value: c.Options}, {Name: "entrypoint", Value: c.Entrypoint}, {Name: "command", Value: c.Command}} {
		if part.Value != "" {
			pairs = append(pairs, pair(part.Name, j.text(part.Value)))
		}
	}
	if len(c.Env) > 0 {
		pairs = append(pairs, pair("env", j.mapping(c.Env)))
	}
	for name, list := range map[string][]string{"ports": c.Ports, "volumes": c.Volumes} {
		if len(list) > 0 {
			pairs = append(pairs, pair(name, j.sequence(list)))
		}
	}
	if c.Username != "" || c.Password != "" {
		who := []workflow.Variable{{Name: "username", Value: c.Username}, {Name: "password", Value: c.Password}}
		pairs = append(pairs, pair("credentials", j.mapping(who)))
	}
	return object{"type": tokenMapping, "map": pairs}
}

func pair(name string, value any) object {
	return object{"key": object{"type": tokenString, "lit": name}, "value": value}
}

// sequence gives texts as a template token.
func (j *job) sequence(list []string) object {
	items := []any{}
	for _, text := range list {
		items = append(items, j.text(text))
	}
	return object{"type": tokenSequence, "seq": items}
}

// number gives a text that stands for a number as a template token.
func (j *job) number(text string) object {
	if expr.Within(text, serverContexts...) {
		if v, err := j.scope.Resolve(text); err == nil {
			return object{"type": tokenNumber, "num": expr.Number(v)}
		}
	}
	return object{"type": tokenExpression, "expr": expr.Format(text)}
}
