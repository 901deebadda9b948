package minirunner

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A job is one job while it runs. Its fields belong to the goroutine of
// [job.run], if they do not lock for themselves.
type job struct {
	config  Config
	message *jobMessage
	masks   *masks
	results *results
	output  *logUpload // log of the whole job

	contexts  map[string]any
	env       map[string]string // of the job, with what steps added
	path      []string          // what steps added to PATH, newest first
	steps     []*step
	failed    bool
	cancelled context.Context // ends when the job is cancelled

	workspace string
	temp      string
	groups    []int // process groups of steps, ended with the job
}

func newJob(c Config, m *jobMessage) *job {
	system, _ := m.system() // it was there when the job was taken
	base := m.Variables["system.github.results_endpoint"].Value
	if base != "" && !strings.HasSuffix(base, "/") {
		base += "/"
	}
	j := &job{config: c, message: m, masks: &masks{}, env: map[string]string{}}
	token := system.Authorization.Parameters["AccessToken"]
	j.results = &results{caller: &caller{c.HTTP, "Bearer " + token}, base: base, plan: m.Plan.PlanID, job: m.JobID}
	j.masks.add(token)
	for _, mask := range m.Mask {
		j.masks.add(mask.Value)
	}
	for _, v := range m.Variables {
		if v.IsSecret {
			j.masks.add(v.Value)
		}
	}
	return j
}

// run runs the job's steps and says how they ended. It goes on to the end when
// cancelled ends: steps may want to run then.
func (j *job) run(alive, cancelled context.Context) jobResult {
	j.cancelled = cancelled
	j.output = j.results.upload("")
	outputs := map[string]string{}
	if j.internal("Set up job", j.setUp) {
		for i := range j.message.Steps {
			j.newStep(&j.message.Steps[i]).run(alive)
		}
		j.internal("Complete job", func(s *step) (err error) {
			outputs, err = j.complete(s)
			return err
		})
	}
	j.output.close(j.config.Now())
	r := jobResult{conclusion: j.conclusion(), outputs: outputs}
	for _, s := range j.steps {
		r.steps = append(r.steps, s.stepResult)
	}
	return r
}

func (j *job) conclusion() conclusion {
	switch {
	case j.cancelled.Err() != nil:
		return canceled
	case j.failed:
		return failed
	}
	return succeeded
}

// internal runs what the runner does itself as a step of the job, as GitHub's
// does, and says whether it went well.
func (j *job) internal(name string, do func(*step) error) bool {
	s := j.newStep(&stepMessage{ID: newID(), Condition: "always()", DisplayName: &templ{Lit: name}})
	s.Name = name
	s.begin()
	err := do(s)
	if err != nil {
		j.failed = true
		s.fail(err.Error())
	}
	s.end(map[bool]conclusion{true: succeeded, false: failed}[err == nil])
	return err == nil
}

// setUp makes the folders and the contexts.
func (j *job) setUp(s *step) error {
	s.log(fmt.Sprintf("Current runner version: '%s' (Mayfly's mini runner, a stand-in for actions/runner)", j.config.Version))
	s.log("Runner name: '" + j.config.Identity.Name + "'")
	j.contexts = map[string]any{"needs": map[string]any{}, "matrix": nil, "strategy": nil, "inputs": nil, "vars": map[string]any{}}
	for name, data := range j.message.ContextData {
		j.contexts[strings.ToLower(name)] = data.value
	}
	github, _ := j.contexts["github"].(map[string]any)
	if github == nil {
		return fmt.Errorf("job message without a github context")
	}
	if err := j.folders(expr.Text(github["repository"])); err != nil {
		return fmt.Errorf("making folders: %w", err)
	}
	github["workspace"], github["token"] = j.workspace, j.message.Variables["system.github.token"].Value
	github["event_path"] = filepath.Join(j.temp, "_github_workflow", "event.json")
	event, err := json.Marshal(github["event"])
	if err != nil {
		return err
	}
	if err := os.WriteFile(expr.Text(github["event_path"]), event, 0o644); err != nil {
		return err
	}
	j.contexts["secrets"] = j.secrets()
	j.contexts["runner"] = map[string]any{
		"name": j.config.Identity.Name, "os": "Linux", "arch": architecture, "temp": j.temp,
		"workspace": filepath.Dir(j.workspace), "tool_cache": filepath.Join(j.config.Work, "_tool"), "environment": "self-hosted",
	}
	return j.environment(s)
}

// folders makes what GitHub's runner has: _work/NAME/NAME and an empty _work/_temp.
func (j *job) folders(repository string) error {
	_, name, _ := strings.Cut(repository, "/")
	if name == "" || !filepath.IsLocal(name) {
		return fmt.Errorf("repository %q: want owner/name", repository)
	}
	work, err := filepath.Abs(j.config.Work)
	if err != nil {
		return err
	}
	j.config.Work = work
	j.workspace, j.temp = filepath.Join(work, name, name), filepath.Join(work, "_temp")
	if err := os.RemoveAll(j.temp); err != nil {
		return err
	}
	for _, dir := range []string{j.workspace, filepath.Join(j.temp, "_github_workflow"), filepath.Join(j.temp, "_runner_file_commands")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// environment evaluates the workflow's and the job's env:, in this order.
func (j *job) environment(s *step) error {
	for i := range j.message.Environment {
		env, err := j.message.Environment[i].texts(j.scope())
		if err != nil {
			return fmt.Errorf("env: %w", err)
		}
		maps.Copy(j.env, env)
	}
	s.log("Prepare all required actions")
	return nil
}

// runDefaults evaluates defaults.run of the workflow and the job, in this order.
func (j *job) runDefaults(scope expr.Scope) (map[string]string, error) {
	all := map[string]string{}
	for i := range j.message.Defaults {
		v, err := j.message.Defaults[i].eval(scope)
		if err != nil {
			return nil, fmt.Errorf("defaults: %w", err)
		}
		defaults, _ := v.(map[string]any)
		run, _ := defaults["run"].(map[string]any)
		for k, v := range run {
			all[k] = expr.Text(v)
		}
	}
	return all, nil
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

// scope is what expressions of the job see now.
func (j *job) scope() expr.Scope {
	contexts := maps.Clone(j.contexts)
	env := map[string]any{}
	for k, v := range j.env {
		env[k] = v
	}
	steps := map[string]any{}
	for _, s := range j.steps {
		if s.message.ContextName != "" && s.Completed != nil {
			steps[s.message.ContextName] = s.context()
		}
	}
	contexts["env"], contexts["steps"] = env, steps
	contexts["job"] = map[string]any{"status": j.conclusion().status()}
	status := expr.Success
	switch {
	case j.cancelled.Err() != nil:
		status = expr.Canceled
	case j.failed:
		status = expr.Failure
	}
	return expr.Scope{Contexts: contexts, Status: status}
}

// complete ends what steps left running and evaluates the job's outputs.
func (j *job) complete(s *step) (map[string]string, error) {
	s.log("Cleaning up orphan processes")
	for _, group := range j.groups {
		if syscall.Kill(-group, syscall.SIGKILL) == nil {
			s.log(fmt.Sprintf("Terminated orphan processes of group %d", group))
		}
	}
	if err := os.RemoveAll(j.temp); err != nil {
		return nil, fmt.Errorf("removing %s: %w", j.temp, err)
	}
	outputs, err := j.message.Outputs.texts(j.scope())
	if err != nil {
		return nil, fmt.Errorf("outputs of the job: %w", err)
	}
	for name, value := range outputs {
		if j.masks.hide(value) != value { // GitHub's runner does the same
			s.log(fmt.Sprintf("Skip output '%s' since it may contain secret.", name))
			delete(outputs, name)
		}
	}
	return outputs, nil
}

func (j *job) stamp() string { return j.config.Now().UTC().Format("2006-01-02T15:04:05.0000000Z") }

func (j *job) now() *time.Time {
	now := j.config.Now().UTC()
	return &now
}
