package minirunner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A step is one step of a job.
type step struct {
	stepResult
	job     *job
	message *stepMessage
	upload  *logUpload
	outputs map[string]any
	outcome conclusion // before continue-on-error
	stopped string     // the token that ends ::stop-commands::
	late    bool       // began after the job was cancelled, because it wants to: it is not ended by that
}

func (j *job) newStep(m *stepMessage) *step {
	s := &step{job: j, message: m, outputs: map[string]any{}}
	s.stepResult = stepResult{ID: cmp.Or(m.ID, newID()), Number: len(j.steps) + 1, Status: "in_progress", Annotations: []annotation{}}
	j.steps = append(j.steps, s)
	return s
}

// context is what steps.ID is to later expressions.
func (s *step) context() map[string]any {
	return map[string]any{"outputs": s.outputs, "outcome": s.outcome.status(), "conclusion": s.Conclusion.status()}
}

func (s *step) begin() {
	s.Started = s.job.now()
	s.upload = s.job.results.upload(s.ID)
	s.job.results.update(s)
}

func (s *step) end(c conclusion) {
	s.outcome = cmp.Or(s.outcome, c)
	s.Conclusion, s.Status, s.Completed = c, "completed", s.job.now()
	if s.upload != nil {
		s.LogLines = s.upload.close(s.job.config.Now())
	}
	s.job.results.update(s)
}

// log writes a line to the step's log and the job's.
func (s *step) log(text string) {
	for line := range strings.SplitSeq(s.job.masks.hide(text), "\n") {
		line = s.job.stamp() + " " + line
		s.upload.line(line)
		s.job.output.line(line)
	}
}

func (s *step) fail(reason string) { s.output("::error::" + strings.ReplaceAll(reason, "\n", "%0A")) }

// run runs the step if its condition holds.
func (s *step) run(alive context.Context) {
	s.late = s.job.cancelled.Err() != nil
	scope := s.job.scope()
	name, err := s.message.DisplayName.text(scope)
	if s.Name = name; err != nil || name == "" {
		s.Name = fmt.Sprintf("Step %d", s.Number)
	}
	wanted, err := scope.Condition(s.message.Condition)
	if err == nil && !wanted {
		s.end(skipped)
		return
	}
	s.begin()
	if err == nil {
		err = s.execute(alive, scope)
	}
	tolerated, _ := s.message.ContinueOnError.eval(s.job.scope())
	switch {
	case err == nil:
		s.end(succeeded)
	case !s.late && s.job.cancelled.Err() != nil:
		s.fail(operationCanceled.Error())
		s.end(canceled)
	case expr.Truthy(tolerated):
		s.fail(err.Error())
		s.outcome = failed
		s.end(succeeded)
	default:
		s.fail(err.Error())
		s.job.failed = true
		s.end(failed)
	}
}

// execute does what the step is there for.
func (s *step) execute(alive context.Context, scope expr.Scope) error {
	env, err := s.environment(scope)
	if err != nil {
		return err
	}
	values := map[string]any{}
	for k, v := range env {
		values[k] = v
	}
	scope.Contexts["env"] = values
	inputs, err := s.message.Inputs.texts(scope)
	if err != nil {
		return err
	}
	limit, err := s.message.TimeoutMinutes.eval(scope)
	if err != nil {
		return err
	}
	if minutes, ok := limit.(float64); ok && minutes > 0 {
		within := time.Duration(minutes * float64(time.Minute))
		var cancel func()
		alive, cancel = context.WithTimeoutCause(alive, within, verdict(fmt.Sprintf("The action '%s' has timed out after %v minutes.", s.Name, minutes)))
		defer cancel()
	}
	script, ok, err := s.script(inputs, scope)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("step uses %q: this is Mayfly's mini runner, a stand-in that runs run: steps and actions/checkout only",
			cmp.Or(s.message.Reference.Name, s.message.Reference.Type))
	}
	return s.shell(alive, script, env)
}

// environment is that of the step's processes, without its files.
func (s *step) environment(scope expr.Scope) (map[string]string, error) {
	own, err := s.message.Environment.texts(scope)
	if err != nil {
		return nil, fmt.Errorf("env: %w", err)
	}
	env := maps.Clone(s.job.env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, own)
	return env, nil
}

// A script is what a step runs.
type script struct{ text, shell, dir string }

// script finds out what to run, and whether this runner can.
func (s *step) script(inputs map[string]string, scope expr.Scope) (script, bool, error) {
	switch m := s.message; {
	case m.Reference.Type == "script":
		defaults, err := s.job.runDefaults(scope)
		return script{
			text:  inputs["script"],
			shell: cmp.Or(inputs["shell"], defaults["shell"]),
			dir:   cmp.Or(inputs["workingDirectory"], defaults["working-directory"]),
		}, true, err
	case strings.EqualFold(m.Reference.Name, "actions/checkout"):
		for name := range inputs {
			return script{}, true, fmt.Errorf("actions/checkout with %s: the mini runner checks out the run's own commit, without inputs", name)
		}
		return script{text: checkout, shell: "bash"}, true, nil
	}
	return script{}, false, nil
}

// checkout does what actions/checkout is for: the commit of the run, in the
// workspace. The server's own git serves it.
const checkout = `git init --quiet .
git -c http.extraHeader="Authorization: Basic $(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 -w0)" fetch --quiet --depth 1 "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git" "$GITHUB_SHA"
git checkout --quiet --force FETCH_HEAD
git log --oneline -1
`

// shell writes the script to a file, runs it and reads the files it wrote.
func (s *step) shell(alive context.Context, script script, env map[string]string) error {
	command, err := s.command(script)
	if err != nil {
		return err
	}
	s.log("##[group]Run " + firstLine(script.text))
	s.log(strings.TrimRight(script.text, "\n"))
	s.log("shell: " + strings.Join(command, " "))
	s.log("##[endgroup]")
	files := s.files()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = s.directory(script.dir)
	cmd.Env = s.processEnv(env, files)
	running := s.runCommand(alive, cmd)
	return errors.Join(running, s.readFiles(files))
}

// directory is where a script runs: within the workspace, unless it is absolute.
func (s *step) directory(dir string) string {
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(s.job.workspace, dir)
}

// command is the shell's command line for a script, as GitHub builds it.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
func (s *step) command(script script) ([]string, error) {
	shell := script.shell
	switch shell {
	case "":
		shell = "bash -e {0}"
		if _, err := exec.LookPath("bash"); err != nil {
			shell = "sh -e {0}"
		}
	case "bash":
		shell = "bash --noprofile --norc -e -o pipefail {0}"
	case "sh":
		shell = "sh -e {0}"
	case "python":
		shell = "python {0}"
	}
	if !strings.Contains(shell, "{0}") {
		return nil, fmt.Errorf("shell %q: want bash, sh, python or a command with {0}", shell)
	}
	path := filepath.Join(s.job.temp, s.ID+".sh")
	if err := os.WriteFile(path, []byte(script.text), 0o755); err != nil {
		return nil, err
	}
	return strings.Fields(strings.ReplaceAll(shell, "{0}", path)), nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// The files by which a step speaks to its runner, by the variable that names them.
var fileVariables = [...]string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}

func (s *step) files() map[string]string {
	files := map[string]string{}
	for _, v := range fileVariables {
		files[v] = filepath.Join(s.job.temp, "_runner_file_commands", strings.ToLower(strings.TrimPrefix(v, "GITHUB_"))+"_"+s.ID)
	}
	return files
}

// processEnv is the whole environment of a process of the step: the runner's, the
// job's and step's, and what the runner sets itself, the last winning.
func (s *step) processEnv(env, files map[string]string) []string {
	all := maps.Clone(s.job.config.Env)
	maps.Copy(all, env)
	for context, prefix := range map[string]string{"github": "GITHUB_", "runner": "RUNNER_"} {
		values, _ := s.job.contexts[context].(map[string]any)
		for k, v := range values {
			switch v.(type) {
			case string, bool, float64:
				if k != "token" {
					all[prefix+strings.ToUpper(k)] = expr.Text(v)
				}
			}
		}
	}
	all["CI"], all["GITHUB_ACTIONS"] = "true", "true"
	if s.message.Reference.Type != "script" { // an action gets the token as its input
		all["GITHUB_TOKEN"] = s.job.message.Variables["system.github.token"].Value
	}
	all["GITHUB_ACTION"] = s.message.ContextName
	maps.Copy(all, files)
	if len(s.job.path) > 0 {
		all["PATH"] = strings.Join(append(slices.Clone(s.job.path), all["PATH"]), ":")
	}
	list := make([]string, 0, len(all))
	for k, v := range all {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

// readFiles takes over what the step wrote for its runner.
func (s *step) readFiles(files map[string]string) error {
	text := map[string]string{}
	for variable, path := range files {
		content, err := readLimited(path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", variable, err)
		}
		text[variable] = content
	}
	env, err := parsePairs(text["GITHUB_ENV"])
	if err != nil {
		return fmt.Errorf("reading GITHUB_ENV: %w", err)
	}
	outputs, err := parsePairs(text["GITHUB_OUTPUT"])
	if err != nil {
		return fmt.Errorf("reading GITHUB_OUTPUT: %w", err)
	}
	for _, p := range env {
		s.job.env[p.name] = p.value
	}
	for _, p := range outputs {
		s.outputs[p.name] = p.value
	}
	for line := range strings.SplitSeq(text["GITHUB_PATH"], "\n") {
		if line = strings.TrimSpace(line); line != "" {
			s.job.path = append([]string{line}, s.job.path...)
		}
	}
	if summary := text["GITHUB_STEP_SUMMARY"]; summary != "" {
		s.job.results.summary(s.ID, s.job.masks.hide(summary), s.job.config.Now())
	}
	return nil
}
