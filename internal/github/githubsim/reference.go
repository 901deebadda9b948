package githubsim

import "strings"

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
