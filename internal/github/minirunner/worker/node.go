package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// runNode runs a stage of a JavaScript action (NodeScriptActionHandler.cs).
func (t *task) runNode(alive context.Context, stage stage) error {
	inputs, err := t.inputs()
	if err != nil {
		return err
	}
	if stage == post {
		t.step.log("Post job cleanup.")
	} else {
		t.logAction(inputs)
	}
	node, err := t.node()
	if err != nil {
		return err
	}
	program := filepath.Join(t.action.dir, [...]string{t.action.runs.pre, t.action.runs.main, t.action.runs.post}[stage])
	if _, err := os.Stat(program); err != nil {
		return wire.Said("File not found: '%s'", program)
	}
	files, err := t.files()
	if err != nil {
		return err
	}
	variables := t.variables(files)
	for _, v := range t.actionEnv(inputs) {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	cmd := t.execute(t.frame.job.workspace, variables, node, t.frame.job.inside(program))
	running := t.step.run(alive, cmd, t.output)
	if v := wire.Words(""); errors.As(running, &v) && running != operationCanceled && alive.Err() == nil {
		running = errTold // the action has said why, if it wanted to
	}
	return errors.Join(running, t.readFiles(files))
}

// node finds the program that runs the task's JavaScript, where it runs.
func (t *task) node() (string, error) {
	if t.frame.job.container != nil {
		return t.nodeInside(t.action.runs.using)
	}
	return t.frame.job.node(t.action.runs.using)
}

// nodes are the versions that take the place of those whose time is over.
var nodes = map[string]string{"node12": "node20", "node16": "node20"}

// node finds the program that runs JavaScript: the runner's own, or, where it
// brings none, that of the machine. GitHub's runner always brings some.
func (j *job) node(using string) (string, error) {
	for _, version := range []string{using, nodes[using]} {
		path := filepath.Join(j.config.Root, "externals", version, "bin", "node")
		if info, err := os.Stat(path); version != "" && err == nil && !info.IsDir() {
			return path, nil
		}
	}
	if path, err := j.which("node"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no node to run a %s action: want %s or node on the PATH",
		using, filepath.Join(j.config.Root, "externals", using, "bin", "node"))
}

// actionEnv is what only actions get: their inputs, their state, and GitHub's
// services for them with the job's token.
func (t *task) actionEnv(inputs map[string]string) []string {
	j := t.frame.job
	var env []string
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range sortedKeys(inputs) {
		env = append(env, "INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))+"="+inputs[name])
	}
	for _, name := range sortedKeys(t.state) {
		env = append(env, "STATE_"+name+"="+t.state[name])
	}
	system, _ := j.message.System() // it was there when the job began
	set("ACTIONS_RUNTIME_URL", system.URL)
	set("ACTIONS_RUNTIME_TOKEN", system.Token())
	set("ACTIONS_CACHE_URL", system.Data["CacheServerUrl"])
	set("ACTIONS_RESULTS_URL", j.message.Variables["system.github.results_endpoint"].Value)
	if j.message.flag("actions_uses_cache_service_v2") {
		set("ACTIONS_CACHE_SERVICE_V2", "True")
	}
	if address := system.Data["GenerateIdTokenUrl"]; address != "" {
		set("ACTIONS_ID_TOKEN_REQUEST_URL", address)
		set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", system.Token())
	}
	return env
}
