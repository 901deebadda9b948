// Package programtest gives tests the real programs of cmd/. They are linked once for all
// packages of a test run, and again only when their source has changed.
package programtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const module = "github.com/mayfly-ci/mayfly/cmd/"

// Main has build put programs into a new folder and runs the tests; it returns the exit code.
// What build returns is told, and no test runs.
func Main(m *testing.M, build func(dir string) error) int {
	dir, err := os.MkdirTemp("", "mayfly-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Sandboxes of root run under other users, who must reach the programs.
	if err := errors.Join(os.Chmod(dir, 0o755), build(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Build puts programs of cmd/ into dir, built as the Makefile does.
func Build(dir string, programs ...string) error { return build(dir, "", programs) }

// BuildForLambda is Build with the tags of what runs on Lambda.
func BuildForLambda(dir string, programs ...string) error {
	return build(dir, "lambda.norpc", programs)
}

// build builds into a folder that all tests of this user share: there go build does not link what
// is up to date. They take turns, and each copies what it needs, because another source tree may
// build there next.
func build(dir, tags string, programs []string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	shared := filepath.Join(cache, "mayfly-test", "programs", tags)
	if err := os.MkdirAll(shared, 0o755); err != nil {
		return err
	}
	turn, err := os.OpenFile(filepath.Join(shared, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer turn.Close()
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("waiting for %s: %w", turn.Name(), err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-o", shared+"/")
	for _, name := range programs {
		cmd.Args = append(cmd.Args, module+name)
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", strings.Join(programs, ", "), err, out)
	}
	for _, name := range programs {
		if err := copyProgram(filepath.Join(dir, name), filepath.Join(shared, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
