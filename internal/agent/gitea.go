package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// giteaRunner is Gitea's runner, gitea.com/gitea/runner, also under its former name act_runner.
// It reads its registration from a file.
type giteaRunner struct{}

// giteaFolder is where its files are, in the home of the runner.
const giteaFolder = ".gitea-runner"

// prepare writes the registration and settings into the runner's home. The registration
// is gone again before a job begins.
func (giteaRunner) prepare(command, container []string, config string) (launch, error) {
	env := environment(container, "GITEA_", "ACT_")
	home := valueOf(env, "HOME")
	folder := filepath.Join(home, giteaFolder)
	registration, settings := filepath.Join(folder, ".runner"), filepath.Join(folder, "config.yaml")
	text, err := json.Marshal(giteaSettings(registration, filepath.Join(home, "work")))
	err = errors.Join(err, os.MkdirAll(folder, 0o700), os.WriteFile(settings, text, 0o600), os.WriteFile(registration, []byte(config), 0o600))
	if err != nil {
		return launch{}, fmt.Errorf("%w: %w", errStart, err)
	}
	args := append(append([]string{}, command...), "--config", settings, "daemon")
	return launch{args: args, env: env, spent: func() { _ = os.Remove(registration) }}, nil // that it is gone already is no fault
}

// giteaSettings are those of the runner, as YAML, which JSON is. By default it asks every 2 s for
// a job and tells every 5 s how it goes, which cost a job 3 s. It hangs up after 5 s: a slow Gitea has
// given it a job by then that it never hears of, and that runs until Gitea calls it a zombie after ten
// minutes. The agent has limits of its own.
// https://gitea.com/gitea/runner/src/tag/v1.0.8/internal/pkg/config/config.example.yaml
func giteaSettings(registration, work string) map[string]any {
	return map[string]any{
		"log": map[string]any{"level": "info"},
		"runner": map[string]any{
			"file": registration, "capacity": 1, "timeout": "8760h", "shutdown_timeout": "0s",
			"fetch_interval": "500ms", "fetch_interval_max": "1s", "fetch_timeout": "60s",
			"log_report_interval": "500ms", "log_report_max_latency": "200ms", "state_report_interval": "300ms",
		},
		"cache": map[string]any{"enabled": false},
		"host":  map[string]any{"workdir_parent": work},
	}
}

// phase reads the lines that its daemon logs, such as
//
//	time="2026-01-31T12:00:00Z" level=info msg="task 7 repo is acme/web https://github.com https://git.example.com"
//
// (gitea.com/gitea/runner, internal/app/cmd/daemon.go and internal/app/run/runner.go).
func (giteaRunner) phase(line string) string {
	_, text, ok := strings.Cut(line, ` level=info msg="`)
	switch {
	case !ok || !strings.HasPrefix(line, `time="`):
		return ""
	case strings.HasPrefix(text, "runner: ") && strings.HasSuffix(text, `, declare successfully"`):
		return claim.PhaseIdle
	case strings.HasPrefix(text, "task ") && strings.Contains(text, " repo is "):
		return claim.PhaseBusy
	}
	return ""
}

// meaning is short, as the exit code says nothing of the job.
func (giteaRunner) meaning(code int, ran bool) string {
	switch {
	case code == 0 && ran:
		return "job done"
	case code == 0:
		return "ended without a job"
	}
	return fmt.Sprintf("exit code %d", code)
}

// valueOf returns the value of a variable in env; "" when it is not there.
func valueOf(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
