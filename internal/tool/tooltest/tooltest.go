// Package tooltest builds the real programs once for the tests of a package, and runs them as
// a person would.
package tooltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/programtest"
)

// folder has the programs.
var folder string

// Main builds programs of cmd/ and runs the tests; it returns the exit code.
func Main(m *testing.M, programs ...string) int {
	return programtest.Main(m, func(dir string) error {
		folder = dir
		return programtest.Build(dir, programs...)
	})
}

// Folder is where the programs are.
func Folder() string { return folder }

// Binary is the path of a built program.
func Binary(name string) string { return filepath.Join(folder, name) }

// Run runs the tool to its end, with env besides the test's environment, and returns what it
// printed and its exit code.
func Run(t testing.TB, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(Binary("mayfly"), args...) // not with t.Context: clean-ups ask it, too
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("mayfly %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Mayfly is [Run] in the test's environment.
func Mayfly(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return Run(t, nil, args...)
}

// JSON runs the tool and reads the JSON it prints.
func JSON[T any](t testing.TB, args ...string) T {
	t.Helper()
	return JSONIn[T](t, nil, args...)
}

// JSONIn is JSON with env besides the test's environment.
func JSONIn[T any](t testing.TB, env []string, args ...string) (v T) {
	t.Helper()
	out, errs, code := Run(t, env, args...)
	if code != 0 {
		t.Fatalf("mayfly %v: exit code %d\n%s%s", args, code, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("mayfly %v: %v in %q", args, err, out)
	}
	return v
}

// Need skips a test that this machine cannot run, loudly; in CI that is a failure.
func Need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		Lacking(t, program+" is not installed: scripts/setup test installs it")
	}
}

// Lacking is Need for what is not a program.
func Lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED, NOT TESTED: " + what)
}

// ServeSim serves a simulated GitHub for the test, with an empty repository, and returns its address.
func ServeSim(t *testing.T, c githubsim.Config, repository string) (*githubsim.Sim, string) {
	t.Helper()
	sim, err := githubsim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); sim.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-served })
	if err := sim.CreateRepository(githubsim.Repository{Name: repository}); err != nil {
		t.Fatal(err)
	}
	return sim, "http://" + l.Addr().String()
}

// StandinVersion is the version of a runner that is none of GitHub's.
const StandinVersion = "2.999.0"

// Standin packs mayfly-minirunner as GitHub packs a version of its runner. The tests must have
// built it.
func Standin(t *testing.T, version string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), archive.Name(version, runtime.GOARCH))
	if out, err := exec.Command("../../scripts/standin-archive", Binary("mayfly-minirunner"), version, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
