package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestCrashBeforeStart kills mayfly up when it has made a container and not started it.
// The next one does not wait for a claim of that.
func TestCrashBeforeStart(t *testing.T) {
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
	c := onEngine(t, dockertest.Serve(t))
	dir, err := os.MkdirTemp("", "mayfly-engine-") // not t.TempDir: its name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	serve := func() *docker.Service {
		t.Helper()
		s, err := docker.Serve(context.Background(), filepath.Join(dir, "engine.sock"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	service := serve()
	t.Cleanup(func() { service.Close() })
	c.launcher = "launcher: engine\nengine: {socket: " + service.Socket + "}"
	w := newWorld(t, c)
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/short.yml": workflow(1, "sleep 1"), ".github/workflows/long.yml": workflow(1, "sleep 8")})
	w.inProgress(t, 2)
	if err := service.Close(); err != nil {
		t.Fatal(err)
	}
	w.completed(t, 1, time.Minute)
	service = serve()
	w.completed(t, 2, time.Minute)
	w.once(t)
	w.nothingLeft(t, time.Minute)
	w.up.stop(t)
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
