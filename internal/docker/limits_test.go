package docker_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
)

// TestUnheldOfRealEngines: as root they hold all limits.
func TestUnheldOfRealEngines(t *testing.T) {
	dockertest.Each(t, func(t *testing.T, socket string) {
		if unheld, err := docker.Unheld(t.Context(), socket); err != nil || len(unheld) != 0 {
			t.Errorf("%v, %v", unheld, err)
		}
	})
}

// TestUnheld has engines say what engines said, cut down to what counts: Podman 4.3.1
// of an ordinary user with control groups of version 1, the same with those of version 2
// that systemd delegates, and a Docker 20.10 as its documentation has it.
func TestUnheld(t *testing.T) {
	const (
		podman   = `{"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}`
		docker20 = `{"Components": [{"Name": "Engine", "Version": "20.10.24"}]}`
		hosts    = `{"MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true}` // not Podman's
	)
	for name, c := range map[string]struct {
		version, info, libpod string
		want                  []string
	}{
		"rootless Podman, version 1": {podman, hosts, `{"host": {"cgroupVersion": "v1", "cgroupControllers": []}}`, []string{"cpus", "memory", "pids"}},
		"rootless Podman, version 2": {podman, hosts, `{"host": {"cgroupVersion": "v2", "cgroupControllers": ["memory", "pids"]}}`, []string{"cpus"}},
		"Podman of root":             {podman, hosts, `{"host": {"cgroupControllers": ["cpuset", "cpu", "cpuacct", "memory", "pids"]}}`, nil},
		"Docker without swap":        {docker20, `{"MemoryLimit": true, "SwapLimit": false, "CpuCfsQuota": true, "PidsLimit": true}`, "", nil},
		"rootless Docker":            {docker20, `{"MemoryLimit": false, "CpuCfsQuota": false, "PidsLimit": false}`, "", []string{"cpus", "memory", "pids"}},
	} {
		t.Run(name, func(t *testing.T) {
			socket := serveAnswers(t, map[string]string{"/v1.41/version": c.version, "/v1.41/info": c.info, "/v4.3.1/libpod/info": c.libpod})
			got, err := docker.Unheld(t.Context(), socket)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// serveAnswers serves an engine that can say a few things.
func serveAnswers(t *testing.T, answers map[string]string) (socket string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	for path, answer := range answers {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
		})
	}
	socket = filepath.Join(t.TempDir(), "e.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket
}
