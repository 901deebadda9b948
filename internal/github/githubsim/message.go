package githubsim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// serverContexts are those that texts in a job message are expanded with before
// it is sent. What reads others (steps, env, secrets, runner) is sent as an
// expression for the runner to evaluate.
var serverContexts = []string{"github", "matrix", "needs", "strategy", "inputs", "vars"}

// jobMessage gives all that a runner needs to run j, by a runner that knows us
// as web. The caller holds mu.
// https://github.com/actions/runner/blob/main/src/Sdk/DTPipelines/Pipelines/AgentJobRequestMessage.cs
func (s *Sim) jobMessage(j *job, web string) object {
	steps, names := []any{}, stepNames(j.task.def.Steps)
	for i, st := range j.task.def.Steps {
		steps = append(steps, j.step(names[i], st))
	}
	return object{
		"messageType": messageJob, "jobId": j.guid, "jobDisplayName": j.Name, "jobName": "__default", "requestId": j.ID,
		"plan":        object{"scopeIdentifier": newUUID(), "planId": j.planID(), "planType": "actions", "version": 12, "planGroup": "Build"},
		"timeline":    object{"id": newUUID()},
		"lockedUntil": j.until,
		"resources": object{"endpoints": []any{object{
			"name": "SystemVssConnection", "url": web + pathRun + "/" + j.guid, "isReady": true, "data": object{},
			"authorization": object{"scheme": "OAuth", "parameters": object{"AccessToken": j.access}},
		}}},
		"contextData": j.contextData(s, web), "variables": j.variables(web),
		"mask": j.masks(), "steps": steps, "fileTable": []any{j.task.flow.file.Path},
		"environmentVariables": []any{j.mapping(j.task.flow.file.Env), j.mapping(j.task.def.Env)},
		"jobContainer":         j.container(), "jobServiceContainers": j.services(),
		"defaults": j.defaults(), "jobOutputs": j.mapping(j.task.def.Outputs),
	}
}

// step gives one step as runners read it; name is what it is called in contexts.
func (j *job) step(name string, st workflow.Step) object {
	out := object{
		"type": "action", "id": newUUID(), "condition": condition(st.If),
		"contextName": name, "name": name,
		"environment": j.mapping(st.Env),
	}
	display, inputs := st.Name, []workflow.Variable{}
	out["reference"] = reference(st.Uses)
	if st.Uses != "" {
		display, inputs = first(display, "Run "+st.Uses), st.With
	} else {
		line, _, _ := strings.Cut(strings.TrimSpace(st.Run), "\n")
		display = first(display, "Run "+line)
		for _, in := range []workflow.Variable{{Name: "script", Value: st.Run}, {Name: "shell", Value: st.Shell}, {Name: "workingDirectory", Value: st.WorkingDirectory}} {
			if in.Value != "" {
				inputs = append(inputs, in)
			}
		}
	}
	out["displayNameToken"], out["inputs"] = j.text(display), j.mapping(inputs)
	if st.ContinueOnError != "" {
		out["continueOnError"] = j.flag(st.ContinueOnError)
	}
	if st.Timeout != "" {
		out["timeoutInMinutes"] = j.number(st.Timeout)
	}
	return out
}

// condition gives a step's condition as runners evaluate it: GitHub adds success()
// where no status function is called.
func condition(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return "success()"
	}
	if expr.Has(text) {
		text = expr.Format(text)
	}
	if expr.CallsStatus(text) {
		return text
	}
	return "success() && (" + text + ")"
}

// The types of template tokens.
// https://github.com/actions/runner/blob/main/src/Sdk/DTObjectTemplating/ObjectTemplating/Tokens/TokenType.cs
const (
	tokenString     = 0
	tokenSequence   = 1
	tokenMapping    = 2
	tokenExpression = 3
	tokenBoolean    = 5
	tokenNumber     = 6
)

// text gives text as a template token: expanded if the server can, or else as
// an expression.
func (j *job) text(text string) object {
	if !expr.Has(text) {
		return object{"type": tokenString, "lit": text}
	}
	if expr.Within(text, serverContexts...) {
		if expanded, err := j.scope.Expand(text); err == nil {
			return object{"type": tokenString, "lit": expanded}
		}
	}
	return object{"type": tokenExpression, "expr": expr.Format(text)}
}

// flag gives a text that stands for true or false as a template token.
func (j *job) flag(text string) object {
	if !expr.Has(text) {
		return object{"type": tokenBoolean, "bool": text == "true"}
	}
	if expr.Within(text, serverContexts...) {
		if v, err := j.scope.Resolve(text); err == nil {
			return object{"type": tokenBoolean, "bool": expr.Truthy(v)}
		}
	}
	return object{"type": tokenExpression, "expr": expr.Format(text)}
}

// mapping gives variables as a template token.
func (j *job) mapping(variables []workflow.Variable) object {
	pairs := []any{}
	for _, v := range variables {
		pairs = append(pairs, object{"key": object{"type": tokenString, "lit": v.Name}, "value": j.text(v.Value)})
	}
	return object{"type": tokenMapping, "map": pairs}
}

// defaults gives defaults.run as runners read it.
func (j *job) defaults() []any {
	var run []workflow.Variable
	if shell := j.task.def.Shell; shell != "" {
		run = append(run, workflow.Variable{Name: "shell", Value: shell})
	}
	if dir := j.task.def.WorkingDirectory; dir != "" {
		run = append(run, workflow.Variable{Name: "working-directory", Value: dir})
	}
	if run == nil {
		return []any{}
	}
	return []any{object{"type": tokenMapping, "map": []any{
		object{"key": object{"type": tokenString, "lit": "run"}, "value": j.mapping(run)},
	}}}
}

// contextData gives the contexts that the server knows as runners read them.
func (j *job) contextData(s *Sim, web string) object {
	github := s.githubContext(j.run, j.task)
	for k, path := range map[string]string{"server_url": "", "api_url": "/api/v3", "graphql_url": "/api/graphql"} {
		github[k] = web + path
	}
	data := object{"github": contextValue(github), "job": contextValue(j.jobContext())}
	for _, name := range []string{"matrix", "needs", "strategy", "inputs", "vars"} {
		data[name] = contextValue(j.scope.Contexts[name])
	}
	return data
}

// contextValue gives v in the form of .NET's PipelineContextData.
// https://github.com/actions/runner/blob/main/src/Sdk/DTPipelines/Pipelines/ContextData/PipelineContextDataType.cs
func contextValue(v any) any {
	const array, dictionary, boolean, number = 1, 2, 3, 4
	switch v := v.(type) {
	case bool:
		return object{"t": boolean, "b": v}
	case float64:
		return object{"t": number, "n": v}
	case int64:
		return object{"t": number, "n": v}
	case []any:
		items := []any{}
		for _, item := range v {
			items = append(items, contextValue(item))
		}
		return object{"t": array, "a": items}
	case map[string]any:
		pairs := []any{}
		for _, k := range sortedKeys(v) {
			pairs = append(pairs, object{"k": k, "v": contextValue(v[k])})
		}
		return object{"t": dictionary, "d": pairs}
	case string, nil:
		return v
	}
	return fmt.Sprint(v)
}

// githubContext gives the context github of a job.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context
func (s *Sim) githubContext(r *run, t *task) map[string]any {
	web := s.publicURL()
	kind := "branch"
	if strings.HasPrefix(r.Ref, "refs/tags/") {
		kind = "tag"
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.Ref, "refs/heads/"), "refs/tags/")
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var job any // where there is none yet
	if t != nil {
		job = t.def.Key
	}
	return map[string]any{
		"event_name": r.Event, "event": r.payload, "workflow": r.Workflow, "job": job,
		"repository": r.Repository, "repository_owner": r.repo.owner.login, "repository_id": number(r.repo.id), "repository_owner_id": number(r.repo.owner.id),
		"sha": r.SHA, "ref": r.Ref, "ref_name": name, "ref_type": kind, "head_ref": "", "base_ref": "", "ref_protected": false,
		"actor": sender, "actor_id": number(senderID), "triggering_actor": sender,
		"run_id": number(r.ID), "run_number": strconv.Itoa(r.Number), "run_attempt": strconv.Itoa(r.Attempt),
		"workflow_ref": r.Repository + "/" + r.Path + "@" + r.Ref, "workflow_sha": r.SHA, "retention_days": "90",
		"server_url": web, "api_url": web + "/api/v3", "graphql_url": web + "/api/graphql",
		"repositoryUrl": strings.Replace(web, "http", "git", 1) + "/" + r.Repository + ".git", "secret_source": "None",
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
