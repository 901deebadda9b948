package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// setUp is the step that gets everything ready (JobExtension.cs).
func (j *job) setUp(s *step) error {
	s.log(fmt.Sprintf("Current runner version: '%s'", j.config.Version))
	s.log(fmt.Sprintf("Runner name: '%s'", j.config.Name))
	if group := j.message.Variables["system.runnerGroupName"].Value; group != "" {
		s.log(fmt.Sprintf("Runner group name: '%s'", group))
	}
	if host, err := os.Hostname(); err == nil {
		s.log(fmt.Sprintf("Machine name: '%s'", host))
	}
	if err := j.logPermissions(s); err != nil {
		return err
	}
	j.contexts = map[string]any{"needs": map[string]any{}, "matrix": nil, "strategy": nil, "inputs": nil, "vars": map[string]any{}}
	for name, data := range j.message.ContextData {
		j.contexts[strings.ToLower(name)] = data.value
	}
	github, _ := j.contexts["github"].(map[string]any)
	if github == nil {
		return missing("github")
	}
	if source := expr.Text(github["secret_source"]); source != "" {
		s.log("Secret source: " + source)
	}
	s.log("Prepare workflow directory")
	if err := j.folders(expr.Text(github["repository"])); err != nil {
		return err
	}
	if err := j.fillContexts(github); err != nil {
		return err
	}
	if err := j.environment(); err != nil {
		return err
	}
	if err := j.readContainers(); err != nil {
		return err
	}
	s.log("Prepare all required actions")
	if err := j.prepare(context.WithoutCancel(j.cancelled), s, j.tasks, 0); err != nil {
		return err
	}
	s.log("Complete job name: " + j.message.JobDisplayName)
	return nil
}

// logPermissions tells what the job's token may do.
func (j *job) logPermissions(s *step) error {
	text := j.message.Variables["system.github.token.permissions"].Value
	if text == "" {
		return nil
	}
	var permissions map[string]string
	if err := json.Unmarshal([]byte(text), &permissions); err != nil {
		return fmt.Errorf("reading system.github.token.permissions: %w", err)
	}
	s.log("##[group]GITHUB_TOKEN Permissions")
	for _, name := range sortedKeys(permissions) {
		s.log(name + ": " + permissions[name])
	}
	s.log("##[endgroup]")
	return nil
}

// fillContexts adds what only a runner knows.
func (j *job) fillContexts(github map[string]any) error {
	github["workspace"], github["token"] = j.workspace, j.message.Variables["system.github.token"].Value
	github["event_path"] = filepath.Join(j.temp, "_github_workflow", "event.json")
	event, err := json.MarshalIndent(github["event"], "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(expr.Text(github["event_path"]), event, 0o644); err != nil {
		return err
	}
	j.contexts["secrets"] = j.secrets()
	j.contexts["runner"] = map[string]any{
		"name": j.config.Name, "os": "Linux", "arch": "X64", "temp": j.temp, "workspace": filepath.Dir(j.workspace),
		"tool_cache": j.work("_tool"), "environment": j.message.Variables["system.runnerEnvironment"].Value,
	}
	return nil
}

func (j *job) work(name string) string { return filepath.Join(j.config.Work, name) }

// folders makes what GitHub's runner has: _work/NAME/NAME, which is remembered in
// _PipelineMapping, an empty _temp, an empty _actions, and _tool.
// (PipelineDirectoryManager.cs, TempDirectoryManager.cs)
func (j *job) folders(repository string) error {
	owner, name, _ := strings.Cut(repository, "/")
	if name == "" || !filepath.IsLocal(repository) {
		return fmt.Errorf("repository %q: want owner/name", repository)
	}
	j.workspace, j.temp = filepath.Join(j.config.Work, name, name), j.work("_temp")
	for _, dir := range []string{j.temp, j.work("_actions")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	mapping := filepath.Join(j.work("_PipelineMapping"), owner, name)
	for _, dir := range []string{
		j.workspace, filepath.Join(j.temp, "_github_workflow"), filepath.Join(j.temp, "_runner_file_commands"),
		j.work("_actions"), j.work("_tool"), mapping,
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	tracking, err := json.MarshalIndent(map[string]any{
		"repositoryName": repository, "pipelineDirectory": name, "workspaceDirectory": name + "/" + name,
		"repositories": map[string]any{repository: map[string]any{"repositoryPath": name + "/" + name, "lastRunOn": j.now()}},
		"lastRunOn":    j.now(),
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(mapping, "PipelineFolder.json"), tracking, 0o644)
}

// environment evaluates env: and defaults.run of the workflow and the job, in this
// order.
func (j *job) environment() error {
	for i := range j.message.Environment {
		env, err := j.message.Environment[i].texts(j.top.scope())
		if err != nil {
			return fmt.Errorf("env: %w", err)
		}
		maps.Copy(j.env, env)
	}
	j.defaults = map[string]string{}
	for i := range j.message.Defaults {
		v, err := j.message.Defaults[i].eval(j.top.scope())
		if err != nil {
			return fmt.Errorf("defaults: %w", err)
		}
		defaults, _ := v.(map[string]any)
		run, _ := defaults["run"].(map[string]any)
		for k, v := range run {
			j.defaults[k] = expr.Text(v)
		}
	}
	return nil
}

// secrets is the context of that name.
func (j *job) secrets() map[string]any {
	all := map[string]any{"GITHUB_TOKEN": j.message.Variables["system.github.token"].Value}
	for name, v := range j.message.Variables {
		if v.IsSecret && !strings.Contains(name, ".") {
			all[name] = v.Value
		}
	}
	return all
}

// complete is the step that evaluates the job's outputs and ends what steps left
// running (JobExtension.cs, FinalizeJob).
func (j *job) complete(s *step) error {
	s.log("Evaluate and set job outputs")
	outputs, err := j.message.Outputs.texts(j.top.scope())
	if err != nil {
		return fmt.Errorf("outputs of the job: %w", err)
	}
	for _, name := range sortedKeys(outputs) {
		switch value := outputs[name]; {
		case value == "":
			delete(outputs, name)
		case j.masks.hide(value) != value:
			s.warn(fmt.Sprintf("Skip output '%s' since it may contain secret.", name))
			delete(outputs, name)
		default:
			s.log(fmt.Sprintf("Set output '%s'", name))
		}
	}
	j.outputs = outputs
	s.log("Cleaning up orphan processes")
	j.orphans(s)
	return emptyFolder(j.temp)
}

// emptyFolder removes the content of dir.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
