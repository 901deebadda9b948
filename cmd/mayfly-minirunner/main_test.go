package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// TestMain is the program itself when the test is called by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "mayfly-minirunner" {
		main()
	}
	os.Exit(m.Run())
}

// call runs the program with only env and returns its exit code and output.
func call(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Env = env
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestCommandLine(t *testing.T) {
	for name, test := range map[string]struct {
		env  []string
		args []string
		code int
		want string
	}{
		"help says what it is": {nil, []string{"--help"}, 0, "a small stand-in for GitHub's own runner"},
		"version":              {nil, []string{"--version"}, 0, "mayfly-minirunner unknown"},
		"unknown flag":         {nil, []string{"--wrong"}, exitUsage, "flag provided but not defined"},
		"argument":             {nil, []string{"run"}, exitUsage, `argument "run": want flags only`},
		"nothing":              {nil, nil, minirunner.ExitTerminated, "want ACTIONS_RUNNER_INPUT_JITCONFIG, or --url and --token"},
		"no token":             {nil, []string{"--url", "http://127.0.0.1:1/a/b"}, minirunner.ExitTerminated, "no runner to be"},
		"bad configuration":    {[]string{jitVariable + "=?"}, nil, minirunner.ExitTerminated, "reading the JIT configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := call(t, test.env, test.args...)
			if code != test.code || !strings.Contains(out, test.want) {
				t.Errorf("exit code %d, want %d, and %q in:\n%s", code, test.code, test.want, out)
			}
		})
	}
}

// TestEnvironment keeps what is meant for the runner from its jobs.
func TestEnvironment(t *testing.T) {
	got := environment([]string{"PATH=/bin", jitVariable + "=secret", "ACTIONS_RUNNER_INPUT_TOKEN=secret", "EQUALS=a=b", "odd"})
	if diff := cmp.Diff(map[string]string{"PATH": "/bin", "EQUALS": "a=b"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
