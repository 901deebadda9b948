package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// TestGiteaPhases: the lines are of a real runner v1.0.8.
func TestGiteaPhases(t *testing.T) {
	for line, want := range map[string]string{
		`time="2026-11-30T21:00:00Z" level=info msg="Starting runner daemon"`:                                                                          "",
		`time="2026-11-30T21:00:00Z" level=info msg="runner: m-1, with version: v1.0.8, with labels: [self-hosted linux small], declare successfully"`: claim.PhaseIdle,
		`time="2026-11-30T21:00:01Z" level=info msg="task 12 repo is acme/web https://git.example.com https://git.example.com"`:                        claim.PhaseBusy,
		`echo time="x" level=info msg="task 12 repo is acme/web"`:                                                                                      "",
		`2026-01-31 12:00:00Z: Running job: build`:                                                                                                     "",
	} {
		if got := (giteaRunner{}).phase(line); got != want {
			t.Errorf("%s: phase %q: want %q", line, got, want)
		}
	}
}

func TestGiteaPrepares(t *testing.T) {
	home := t.TempDir()
	container := []string{"HOME=" + home, "PATH=/bin", "GITEA_RUNNER_REGISTRATION_TOKEN=x", "MAYFLY_X=y", "ACT_CACHE=z", "LANG=C"}
	l, err := giteaRunner{}.prepare([]string{"/opt/gitea-runner"}, container, `{"id": 1}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"PATH=/bin", "HOME=" + home, "LANG=C"}; !slices.Equal(l.env, want) {
		t.Errorf("environment %q: want %q", l.env, want)
	}
	registration, settings := filepath.Join(home, ".gitea-runner", ".runner"), filepath.Join(home, ".gitea-runner", "config.yaml")
	if want := []string{"/opt/gitea-runner", "--config", settings, "daemon"}; !slices.Equal(l.args, want) {
		t.Errorf("arguments %q: want %q", l.args, want)
	}
	if text, err := os.ReadFile(registration); err != nil || string(text) != `{"id": 1}` {
		t.Errorf(".runner is %s, %v", text, err)
	}
	if info, err := os.Stat(registration); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".runner: %v, %v: want it for its owner only", info, err)
	}
	if text, err := os.ReadFile(settings); err != nil || !strings.Contains(string(text), registration) {
		t.Errorf("config.yaml is %s, %v: want the place of .runner in it", text, err)
	}
	l.spent()
	l.spent()
	if _, err := os.Stat(registration); !os.IsNotExist(err) {
		t.Errorf(".runner is there, %v: want it gone before a job begins", err)
	}
}

func TestUnknownProgram(t *testing.T) {
	if _, err := programOf(claim.Grant{Program: "other"}); err == nil || exitCode(t.Context(), err) != ExitNotStarted {
		t.Errorf("%v: want an error of a program that cannot be started", err)
	}
}
