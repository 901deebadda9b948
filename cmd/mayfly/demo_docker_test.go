package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestDemoDocker runs workflows with sudo, docker build and run, services, a job container, a composite
// and a Docker action in the demo, on Podman, without a registry outside.
func TestDemoDocker(t *testing.T) {
	t.Parallel()
	socket := dockertest.Serve(t)
	if err := engine.Check(t.Context(), socket, pool.Isolation{Docker: pool.Docker{Engine: true}}); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED HERE: %v", err)
	}
	image := hosttools.NewName("docker-demo")
	runner := dockertest.Runner()
	runner.Programs = map[string]string{pool.Home + "/run.sh": tooltest.Binary("mayfly-minirunner")}
	runner.Load(t, socket, image)
	services := dockertest.Debian{Packages: []string{"redis-server"}, Command: []string{"redis-server", "--protected-mode", "no"}}
	mirror := dockertest.Hub(t, map[string]dockertest.Debian{"redis:7": services, "tools:1": services})
	mounts := mountsOf(t)
	got := tooltest.JSONIn[demoSummary](t, atEngine(socket), "demo", "--json", "--launcher", machine.Engine, "--image", image, "--docker", "--docker-mirror", mirror,
		"--folder", "testdata/docker", "--within", "15m")
	got.QueuedToStarted, got.RunnersStarted = rehearsal.Quantiles{}, 0
	if diff := cmp.Diff(demoSummary{Jobs: 5, AsExpected: 5}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(mounts, mountsOf(t)); diff != "" {
		t.Errorf("mounts are left (-before +after):\n%s", diff)
	}
}

// mountsOf returns the loop devices that are mounted on this host.
func mountsOf(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "/dev/loop") && strings.Contains(line, "mayfly-demo-") {
			list = append(list, line)
		}
	}
	return list
}
