package worker

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// hostEnv is the whole environment of a process of the task on the runner's machine: the runner's, and
// its variables, the last winning.
func (t *task) hostEnv(variables map[string]string) []string {
	j := t.frame.job
	all := map[string]string{trackingVariable: j.tracking}
	maps.Copy(all, j.config.Env)
	maps.Copy(all, variables)
	if len(j.path) > 0 {
		all["PATH"] = strings.Join(append(slices.Clone(j.path), all["PATH"]), ":")
	}
	return list(all)
}

// variables are those of a process of the task: the job's and step's, and what the runner sets
// itself.
func (t *task) variables(files map[string]string) map[string]string {
	j := t.frame.job
	all := map[string]string{"CI": "true", "GITHUB_ACTIONS": "true"}
	maps.Copy(all, t.env)
	for context, prefix := range map[string]string{"github": "GITHUB_", "runner": "RUNNER_"} {
		fields, _ := j.contexts[context].(map[string]any)
		for k, v := range fields {
			switch v.(type) {
			case string, bool, float64:
				if k != "token" {
					all[prefix+strings.ToUpper(k)] = expr.Text(v)
				}
			}
		}
	}
	t.actionVariables(all)
	maps.Copy(all, files)
	return all
}

// actionVariables adds what tells a process which action it belongs to.
func (t *task) actionVariables(all map[string]string) {
	all["GITHUB_ACTION"] = t.message.ContextName
	if owner := t.frame.owner; owner != nil {
		all["GITHUB_ACTION_PATH"] = t.frame.path
		all["GITHUB_ACTION_STATUS"] = t.frame.status().status()
	}
	if ref := t.message.Reference; ref.remote() {
		all["GITHUB_ACTION_REPOSITORY"], all["GITHUB_ACTION_REF"] = ref.Name, ref.Ref
	}
}

// plainEnv is the environment of what the runner runs for itself.
func (j *job) plainEnv() []string { return list(j.config.Env) }

// list gives variables as a process gets them.
func list(variables map[string]string) []string {
	all := make([]string, 0, len(variables))
	for _, k := range sortedKeys(variables) {
		all = append(all, k+"="+variables[k])
	}
	return all
}

// which finds a program on the PATH of the job (WhichUtil.cs).
func (j *job) which(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range append(slices.Clone(j.path), filepath.SplitList(j.config.Env["PATH"])...) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", wire.Said("%s: command not found. Make sure '%s' is installed and its location included in the 'PATH' environment variable.", name, name)
}
