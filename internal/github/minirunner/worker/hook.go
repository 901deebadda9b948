package worker

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A hook is a script of whoever runs the runner, which the runner's environment
// names (JobHookProvider.cs).
// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/run-scripts
type hook struct{ variable, step, when string }

var (
	startedHook   = hook{"ACTIONS_RUNNER_HOOK_JOB_STARTED", "Set up runner", "started"}
	completedHook = hook{"ACTIONS_RUNNER_HOOK_JOB_COMPLETED", "Complete runner", "completed"}
)

// hook runs h as a step, if there is such a script.
func (j *job) hook(alive context.Context, h hook) {
	path := j.config.Env[h.variable]
	if path == "" {
		return
	}
	t := newTask(j.top, &stepMessage{})
	t.step = j.newStep("", h.step)
	t.step.Action, t.step.Type = h.variable, "runner"
	t.step.late = j.cancelled.Err() != nil
	t.step.begin()
	t.step.log("A job " + h.when + " hook has been configured by the self-hosted runner administrator")
	t.step.finish(t.runHook(alive, path), t)
}

func (t *task) runHook(alive context.Context, path string) error {
	if err := t.enter(); err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return wire.Said("File doesn't exist at path '%s'", path)
	}
	bash, err := t.frame.job.which("bash")
	if err != nil {
		return err
	}
	t.step.log("##[group]Run '" + path + "'")
	t.step.log("shell: " + bash + " -e {0}")
	t.logEnv()
	t.step.log("##[endgroup]")
	files, err := t.files()
	if err != nil {
		return err
	}
	cmd := exec.Command(bash, "-e", path)
	cmd.Dir, cmd.Env = t.frame.job.workspace, t.hostEnv(t.variables(files))
	running := t.step.run(alive, cmd, t.output)
	return errors.Join(running, t.readFiles(files))
}
