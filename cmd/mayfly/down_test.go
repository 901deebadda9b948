package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// down runs mayfly down with the credentials of w.
func (w *world) down(t *testing.T, more ...string) (out, errs string, code int) {
	t.Helper()
	return w.mayfly(t, append([]string{"down", "--yes"}, more...)...)
}

// TestDown takes down a mayfly up that runs two jobs, one of which would go on for long, in sandbox
// and engine: the short one ends well, and of the rest nothing is left.
func TestDown(t *testing.T) {
	t.Parallel()
	for launcher, place := range map[string]func(*testing.T) worldConfig{"sandbox": inSandbox, "engine": inEngine} {
		t.Run(launcher, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place(t))
			w.serve(t)
			w.push(t, map[string]string{".github/workflows/long.yml": workflow(1, "sleep 600")})
			w.running(t)
			w.push(t, map[string]string{".github/workflows/short.yml": workflow(1, "sleep 5"), ".github/workflows/long.yml": ""})
			w.running2(t)
			instance := w.instance(t)

			out, errs, code := w.down(t, "--within", "20s", "--webhook")
			if code != 0 || !strings.Contains(out, "nothing is left") {
				t.Fatalf("mayfly down: exit code %d\n%s%s\n%s", code, out, errs, w.up.said())
			}
			<-w.up.ended
			if code := w.up.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("mayfly up: exit code %d\n%s", code, w.up.said())
			}
			var ended []string
			for _, j := range w.sim.Jobs() {
				ended = append(ended, string(j.Conclusion))
			}
			if got := strings.Join(ended, " "); strings.Count(got, "success") != 1 || len(ended) != 2 {
				t.Errorf("jobs ended %q, want the short one to end well and the long one not", ended)
			}
			left := append(processesOf(instance), groupsOf(t, instance)...)
			for _, r := range w.sim.Runners() {
				left = append(left, "registration "+r.Name)
			}
			if _, err := os.Stat(w.state()); !errors.Is(err, fs.ErrNotExist) {
				left = append(left, "state folder")
			}
			left = append(left, inPodman(t, launcher, instance)...)
			if len(left) > 0 {
				t.Errorf("left:\n%s", strings.Join(left, "\n"))
			}
			w.up = nil // there is no state to look into any more
		})
	}
}

// running2 waits until two jobs run.
func (w *world) running2(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := w.sim.Wait(ctx, func(jobs []githubsim.Job) bool {
		running := 0
		for _, j := range jobs {
			if j.Status == githubsim.StatusInProgress {
				running++
			}
		}
		return running == 2
	})
	if err != nil {
		t.Fatalf("no two jobs run: %v\n%s", err, w.up.said())
	}
}

// inPodman lists containers and networks of an instance.
func inPodman(t *testing.T, launcher, instance string) (list []string) {
	t.Helper()
	if launcher != machine.Engine {
		return nil
	}
	for _, args := range [][]string{{"ps", "-a", "--format", "{{.Names}}"}, {"network", "ls", "--format", "{{.Name}}"}} {
		out, err := exec.Command("podman", append(docker.Flags(), args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(string(out)) {
			if strings.Contains(name, instance) {
				list = append(list, args[0]+" "+name)
			}
		}
	}
	return list
}

// TestDownKeeps leaves what is not mayfly's, and says so; and runs where nothing runs.
func TestDownKeeps(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	w.up.stop(t)
	w.up = nil
	mine := filepath.Join(w.state(), "notes.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := w.down(t)
	if code != cli.ExitFailed || !strings.Contains(errs, "file "+mine) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
	os.Remove(mine)
	if out, errs, code := w.down(t); code != 0 {
		t.Errorf("again: exit code %d\n%s%s", code, out, errs)
	}
}

// TestDownOfKilledRunner takes down a machine whose runner was killed with its job: GitHub keeps its registration
// until it notices, which is told, and what finds it again stays.
func TestDownOfKilledRunner(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/long.yml": workflow(1, "sleep 600")})
	job := w.running(t)
	w.up.kill()
	killGroups(t, w.instance(t))
	for range 2 {
		out, errs, code := w.down(t, "--within", "1s")
		if code != cli.ExitFailed || !strings.Contains(errs, "registration "+job.Runner) {
			t.Fatalf("exit code %d: want the registration of %s to be left\n%s%s", code, job.Runner, out, errs)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s/repos/%s/actions/runs/%d/force-cancel", w.simURL, worldRepository, job.RunID), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%v, %v", resp, err)
	}
	if out, errs, code := w.down(t); code != 0 || len(w.sim.Runners()) > 0 {
		t.Errorf("at last: exit code %d, registrations %v\n%s%s", code, w.sim.Runners(), out, errs)
	}
	if _, err := os.Stat(w.state()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state folder is left: %v", err)
	}
	w.up = nil
}

// killGroups kills all processes in the control groups of an instance.
func killGroups(t *testing.T, instance string) {
	t.Helper()
	for _, group := range groupsOf(t, instance) {
		list, _ := os.ReadFile(filepath.Join(strings.TrimPrefix(group, "control group "), "cgroup.procs")) // gone when they are
		for pid := range strings.FieldsSeq(string(list)) {
			n, _ := strconv.Atoi(pid)
			syscall.Kill(n, syscall.SIGKILL) // an error means that it has ended
		}
	}
}

// TestDownAsks does nothing unless somebody agrees.
func TestDownAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	_, errs, code := w.mayfly(t, "down")
	if code != cli.ExitUsage || !strings.Contains(errs, "nothing was removed") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
