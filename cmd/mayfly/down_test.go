package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// downArgs are a mayfly down of w.
func (w *world) downArgs(more ...string) []string {
	return append([]string{"down", "--yes", "--config", w.config()}, more...)
}

// down runs mayfly down with the credentials of w.
func (w *world) down(t *testing.T, more ...string) (out, errs string, code int) {
	t.Helper()
	t.Setenv("GITHUB_TOKEN", w.token)
	t.Setenv("MAYFLY_WEBHOOK_SECRET", w.secret)
	return mayfly(t, w.downArgs(more...)...)
}

// TestDown takes down a mayfly up that runs two jobs, one of which would go on for long, in sandbox
// and engine: the short one ends well, and of the rest nothing is left.
func TestDown(t *testing.T) {
	for launcher, place := range map[string]func(*testing.T) worldConfig{"sandbox": inSandbox, "engine": inEngine} {
		t.Run(launcher, func(t *testing.T) {
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
	need(t, "bwrap")
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

// TestDownKeepsState while something is left, by which the next run finds it.
func TestDownKeepsState(t *testing.T) {
	for _, test := range []struct {
		down downCmd
		left []string
		kept bool
	}{
		{downCmd{}, []string{"registration abcdef-small-1-1-1 at acme/web"}, true}, {downCmd{KeepState: true}, nil, true}, {downCmd{}, nil, false},
	} {
		state := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, machine.DatabaseName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		left, err := test.down.clear(state, test.left)
		_, gone := os.Stat(state)
		if err != nil || !slices.Equal(left, test.left) || (gone == nil) != test.kept {
			t.Errorf("%+v: left %q, %v, %v: want the state kept: %t", test, left, err, gone, test.kept)
		}
	}
}

// TestDownAsks does nothing unless somebody agrees.
func TestDownAsks(t *testing.T) {
	w := newWorld(t, worldConfig{})
	t.Setenv("GITHUB_TOKEN", w.token)
	t.Setenv("MAYFLY_WEBHOOK_SECRET", w.secret)
	_, errs, code := mayfly(t, "down", "--config", w.config())
	if code != cli.ExitUsage || !strings.Contains(errs, "nothing was removed") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
