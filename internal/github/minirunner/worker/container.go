package worker

import (
	"errors"
	"os/exec"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// dockerVersion is what GitHub's runner asks docker first (DockerCommandManager.cs).
const dockerVersion = "version --format '{{.Server.APIVersion}}'"

// needsContainers reports whether the job runs in a container or beside some.
func (j *job) needsContainers() bool {
	for _, t := range []*templ{j.message.Container, j.message.Services} {
		if v, err := t.eval(j.top.scope()); err != nil || v != nil && v != "" {
			if services, isMapping := v.(map[string]any); !isMapping || len(services) > 0 {
				return true
			}
		}
	}
	return false
}

// initializeContainers fails: where there is no docker, with the words of GitHub's
// runner, and where there is, with the mini runner's.
func (j *job) initializeContainers(s *step) error {
	docker, err := j.which("docker")
	if err != nil {
		return err
	}
	s.log("##[group]Checking docker version")
	s.log("##[command]" + docker + " " + dockerVersion)
	cmd := exec.Command(docker, "version", "--format", "'{{.Server.APIVersion}}'")
	cmd.Env = j.plainEnv()
	printed, err := cmd.CombinedOutput()
	s.log(string(printed))
	s.log("##[endgroup]")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return wire.Said("Exit code %d returned from process: file name '%s', arguments '%s'.", exitCode(exit), docker, dockerVersion)
	} else if err != nil {
		return err
	}
	return errNoContainers
}

var errNoContainers = errors.New("this is Mayfly's mini runner: it runs no containers; use the official runner, https://github.com/actions/runner")

// noContainers is why a job's action cannot run in a container.
func (j *job) noContainers() error {
	if _, err := j.which("docker"); err != nil {
		return err
	}
	return errNoContainers
}

// refuseContainer fails if the action is one that runs in a container.
func (t *task) refuseContainer() error {
	if t.action.runs.using == "docker" {
		return t.frame.job.noContainers()
	}
	return nil
}
