package worker

import (
	"maps"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A frame is where steps run and see each other: the job, or one use of a
// composite action.
type frame struct {
	job    *job
	owner  *task             // that runs the composite action; nil of the job
	inputs map[string]any    // of a composite action
	env    map[string]string // env: of the steps around
	steps  map[string]any    // how steps ended, by their ids
	path   string            // folder of the composite action
	failed bool              // a step of the composite action failed
}

// status is what success() and its like go by here.
func (f *frame) status() Conclusion {
	switch {
	case f.owner == nil:
		return f.job.conclusion()
	case f.job.cancelled.Err() != nil:
		return Canceled
	case f.failed:
		return Failed
	}
	return Succeeded
}

// scope is what expressions see now. A composite action sees inputs and steps of
// its own, and no secrets.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability
func (f *frame) scope() expr.Scope {
	contexts := maps.Clone(f.job.contexts)
	if f.owner != nil {
		delete(contexts, "secrets")
		contexts["inputs"] = f.inputs
		github, _ := contexts["github"].(map[string]any)
		github = maps.Clone(github)
		github["action_path"], github["action_status"] = f.path, f.status().status()
		contexts["github"] = github
	}
	contexts["steps"] = f.steps
	contexts["job"] = f.job.jobContext()
	contexts["env"] = values(f.environment())
	return expr.Scope{Contexts: contexts, Status: f.status().scope(), Functions: f.job.functions()}
}

// environment is that of the job with what the steps around add.
func (f *frame) environment() map[string]string {
	env := maps.Clone(f.job.env)
	maps.Copy(env, f.env)
	return env
}

// values gives texts as a context.
func values(texts map[string]string) map[string]any {
	all := map[string]any{}
	for k, v := range texts {
		all[k] = v
	}
	return all
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
