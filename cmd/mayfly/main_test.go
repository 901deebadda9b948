package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	_ "github.com/mayfly-ci/mayfly/internal/agent"             // in the programs that testMain builds, which
	_ "github.com/mayfly-ci/mayfly/internal/github/minirunner" // go test's cache of results does not see
)

// binaries is the folder of the real programs, built for these tests.
var binaries string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mayfly-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Sandboxes of root run under other users, who must reach the programs.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "../mayfly", "../mayfly-agent", "../mayfly-minirunner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
}

// tool is the path of a built program.
func tool(name string) string { return filepath.Join(binaries, name) }

// mayfly runs the tool to its end and returns what it printed and its exit code.
func mayfly(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(tool("mayfly"), args...) // not with t.Context: clean-ups ask it, too
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("mayfly %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// mayflyJSON runs the tool and reads the JSON it prints.
func mayflyJSON[T any](t testing.TB, args ...string) (v T) {
	t.Helper()
	out, errs, code := mayfly(t, args...)
	if code != 0 {
		t.Fatalf("mayfly %v: exit code %d\n%s%s", args, code, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("mayfly %v: %v in %q", args, err, out)
	}
	return v
}

// need skips a test that this machine cannot run, loudly; in CI that is a failure.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		lacking(t, program+" is not installed: scripts/setup test installs it")
	}
}

func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED, NOT TESTED: " + what)
}

// TestScripts runs testdata/script against the real tool.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", binaries+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}
