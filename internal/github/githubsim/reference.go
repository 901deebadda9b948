package githubsim

import (
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// reference gives what a step uses as runners read it; "" stands for a step that
// runs a script.
// https://github.com/actions/runner/blob/main/src/Sdk/DTPipelines/Pipelines/ActionStepDefinitionReference.cs
func reference(uses string) object {
	image, isImage := strings.CutPrefix(uses, "docker://")
	switch {
	case uses == "":
		return object{"type": "script"}
	case isImage:
		return object{"type": "containerRegistry", "image": image}
	case strings.HasPrefix(uses, "./"):
		return object{"type": "repository", "repositoryType": "self", "path": uses}
	}
	name, ref, _ := strings.Cut(uses, "@")
	owner, name, _ := strings.Cut(name, "/")
	name, path, inside := strings.Cut(name, "/")
	out := object{"type": "repository", "repositoryType": "GitHub", "name": owner + "/" + name, "ref": ref}
	if inside {
		out["path"] = path
	}
	return out
}

// stepNames gives what steps are called in the contexts steps and github.action: their
// id, or a name of GitHub's making, such as __run_2 or __actions_checkout.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context
func stepNames(steps []workflow.Step) []string {
	names, seen := make([]string, len(steps)), map[string]int{}
	for i, st := range steps {
		if names[i] = st.ID; st.ID != "" {
			continue
		}
		name := "__" + strings.Map(plainRune, madeName(reference(st.Uses)))
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprint(name, "_", seen[name])
		}
		names[i] = name
	}
	return names
}

// madeName gives what a step's name is made of.
func madeName(reference object) string {
	for _, key := range []string{"name", "image"} {
		if text, is := reference[key].(string); is {
			return text
		}
	}
	if reference["repositoryType"] == "self" {
		return "self"
	}
	return "run"
}
