package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestCrashBeforeStart kills mayfly up when it has made a container and not started it.
// The next one does not wait for a claim of that.
func TestCrashBeforeStart(t *testing.T) {
	t.Parallel()
	dockertest.Each(t, func(t *testing.T, socket string) {
		c, relay := onEngine(t, socket), dockertest.NewRelay(t, socket)
		c.launcher = strings.ReplaceAll(c.launcher, socket, relay.Socket)
		w := newWorld(t, c)
		w.serve(t)
		relay.Silence("/start")
		w.push(t, map[string]string{".github/workflows/one.yml": workflow(1, "true")})
		relay.Await(t, func(requests []string) bool {
			return slices.ContainsFunc(requests, func(r string) bool { return strings.HasSuffix(r, "/start") })
		})
		w.up.kill()
		relay.Silence("")
		begun := time.Now()
		w.serve(t)
		w.completed(t, 1, time.Minute)
		t.Logf("the job was done %v after the restart", time.Since(begun))
		w.once(t)
		if all := w.runners(t, "--all"); len(all) != 1 {
			t.Errorf("%d runners were made, want one: %+v", len(all), all)
		}
		w.nothingLeft(t, 30*time.Second)
		w.up.stop(t)
	})
}

// TestEngineRestarted loses Podman's service while runners are busy: one ends meanwhile,
// one after it is back.
func TestEngineRestarted(t *testing.T) {
	t.Parallel()
	c := inEngine(t)
	w := newWorld(t, c)
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/short.yml": workflow(1, "sleep 1"), ".github/workflows/long.yml": workflow(1, "sleep 8")})
	w.inProgress(t, 2)
	c.engineDown(t)
	w.completed(t, 1, time.Minute)
	c.engineUp(t)
	w.completed(t, 2, time.Minute)
	w.once(t)
	w.nothingLeft(t, time.Minute)
	w.up.stop(t)
}

// TestEngineIsTold: what a person should know of the engine is told at the start, by
// config check and by status.
func TestEngineIsTold(t *testing.T) {
	t.Parallel()
	socket := dockertest.Serve(t)
	c, relay := onEngine(t, socket), dockertest.NewRelay(t, socket)
	relay.Replace("/libpod/info", `{"host": {"cgroupControllers": ["memory", "pids"]}}`)
	c.launcher = strings.ReplaceAll(c.launcher, socket, relay.Socket)
	w := newWorld(t, c)
	const limits = "does not hold runners to cpus: a job can take more"
	out, errs, code := tooltest.Mayfly(t, "config", "check", "--no-secrets", "--config", w.config())
	if code != 0 || !strings.Contains(out, limits) || !strings.Contains(out, "mayfly.yaml:") {
		t.Errorf("config check: exit code %d, want a warning that it %s\n%s%s", code, limits, out, errs)
	}
	w.serve(t)
	if said := w.up.whole(); !strings.Contains(said, limits) {
		t.Errorf("mayfly up, want that the engine %s:\n%s", limits, said)
	}
	if out, _, _ := tooltest.Mayfly(t, "status", "--config", w.config()); !strings.Contains(out, limits) {
		t.Errorf("status, want that the engine %s:\n%s", limits, out)
	}
	relay.Cut()
	out, _, _ = tooltest.Mayfly(t, "status", "--config", w.config())
	if !strings.Contains(out, "the container engine does not answer") || !strings.Contains(out, "start Podman") {
		t.Errorf("status without an engine:\n%s", out)
	}
	relay.Mend(t)
	w.up.stop(t)
}

// TestHowToStart: what is installed is not to be installed.
func TestHowToStart(t *testing.T) {
	for _, c := range []struct {
		installed []string
		root      bool
		want      string
	}{
		{nil, true, "install podman"},
		{[]string{"podman", "dockerd"}, true, "systemctl enable --now podman.socket"},
		{[]string{"podman"}, false, "systemctl --user enable --now podman.socket"},
		{[]string{"dockerd"}, true, "systemctl enable --now docker"},
	} {
		got := machine.HowToStartWith(func(program string) bool { return slices.Contains(c.installed, program) }, c.root)
		if !strings.Contains(got, c.want) || len(c.installed) > 0 && strings.Contains(got, "install ") {
			t.Errorf("%v, root %t: %q, want %q", c.installed, c.root, got, c.want)
		}
	}
}

// inProgress waits until so many jobs are.
func (w *world) inProgress(t *testing.T, jobs int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := w.sim.Wait(ctx, func(all []githubsim.Job) bool {
		n := 0
		for _, j := range all {
			if j.Status == githubsim.StatusInProgress {
				n++
			}
		}
		return n == jobs
	})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, w.open(t), w.up.said())
	}
}
