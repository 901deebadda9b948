package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestMain(m *testing.M) { fleettest.Main(m, nil) }

// A subject is the launcher of a test, and the engine that it is on.
type subject struct {
	fleettest.Subject
	socket, instance, folder string
}

// on returns containers of the engine on socket, with an image of this machine's tools.
func on(t testing.TB, socket string) subject {
	t.Helper()
	s, image := subject{socket: socket, instance: "t" + strings.ToLower(rand.Text()[:10]), folder: t.TempDir()}, hosttools.NewName("engine-test")
	l := s.open(t, socket)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.Purge(ctx); err != nil {
			t.Error(err)
		}
	})
	dockertest.Load(t, socket, image, hosttools.Config{Tools: hosttools.Tools()})
	s.Subject = fleettest.Subject{
		New:     func(t testing.TB) fleet.Launcher { return s.open(t, socket) },
		Image:   image,
		Limited: os.Geteuid() == 0,
		Hidden:  []string{filepath.Dir(socket), socket, "/root", "/boot", "/var/lib/containers"},
		Leftover: func() string {
			all, err := l.List(context.Background())
			if len(all) == 0 && err == nil {
				return ""
			}
			return fmt.Sprint(all, err)
		},
	}
	return s
}

// open returns a launcher of the instance on a socket of its engine.
func (s subject) open(t testing.TB, socket string) *Launcher {
	t.Helper()
	l, err := New(t.Context(), Config{Socket: socket, Instance: s.instance, Folder: s.folder, Agent: fleettest.Self(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestEngine(t *testing.T) {
	t.Parallel()
	dockertest.Each(t, func(t *testing.T, socket string) {
		s := on(t, socket)
		t.Run("contract", func(t *testing.T) { fleettest.Run(t, s.Subject) })
		for name, test := range map[string]func(*testing.T, subject){
			"host tools":      testHostTools,
			"own network":     testOwnNetwork,
			"half made":       testHalfMade,
			"names of others": testNamesOfOthers,
			"image not there": testImageNotThere,
			"asks for no end": testAsksForNoEnd,
			"engine lost":     testEngineLost,
			"no events":       testNoEvents,
			"paused":          testPaused,
			"purge":           testPurge,
		} {
			t.Run(name, func(t *testing.T) { test(t, s) })
		}
	})
}

// testHostTools uses some of the image's programs together.
func testHostTools(t *testing.T, s subject) {
	l, r := s.New(t), s.NewRunner(t, "echo ok | sed s/o/0/; git --version | cut -d' ' -f1-2")
	r.Start(t, l)
	if got, want := r.Rest(t), "0k\ngit version\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// testOwnNetwork reaches the host by the network's gateway and not its loopback.
func testOwnNetwork(t *testing.T, s subject) {
	l := s.open(t, s.socket)
	gateway, err := l.Gateway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	freebind := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	served, err := freebind.Listen(t.Context(), "tcp", net.JoinHostPort(gateway.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	port := served.Addr().(*net.TCPAddr).Port
	loopback, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer loopback.Close()
	r := s.NewRunner(t, fmt.Sprintf(`for host in %s 127.0.0.1; do
		timeout 5 bash -c "echo hello > /dev/tcp/$host/%d" 2>/dev/null && echo $host; done; echo end`, gateway, port))
	r.Spec.Network = pool.NetworkOwn
	r.Start(t, l)
	if got, want := r.Rest(t), gateway.String()+"\nend\n"; got != want {
		t.Errorf("in reach: %q, want %q", got, want)
	}
}

// testHalfMade leaves what a crash between create and start leaves.
func testHalfMade(t *testing.T, s subject) {
	l, r := s.open(t, s.socket), s.NewRunner(t, "exit 5")
	options, err := l.options(t.Context(), r.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.api.ContainerCreate(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	r.Start(t, l)
	if exit := r.Wait(t, l); exit.Code != 5 {
		t.Errorf("%v, want 5", exit)
	}
}

// testNamesOfOthers leaves containers of other instances alone.
func testNamesOfOthers(t *testing.T, s subject) {
	l, r := s.open(t, s.socket), s.NewRunner(t, "sleep 60")
	r.Start(t, l)
	other := s.open(t, s.socket)
	other.config.Instance = "another"
	if err := other.Start(t.Context(), r.Spec); err == nil {
		t.Error("started a container of a name that is taken by another Mayfly")
	}
	if err := other.Stop(t.Context(), r.Spec.Runner, 0); err != nil {
		t.Error(err)
	}
	if all, err := other.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v: want none", all, err)
	}
	if all, err := l.List(t.Context()); err != nil || len(all) != 1 || !all[0].Running {
		t.Errorf("%v, %v: want the runner, untouched", all, err)
	}
}

func testImageNotThere(t *testing.T, s subject) {
	l, r := s.open(t, s.socket), s.NewRunner(t, "true")
	r.Spec.Image = "127.0.0.1:1/mayfly/none:1" // nothing listens there
	if err := l.Start(t.Context(), r.Spec); err == nil || !strings.Contains(err.Error(), "pulling image 127.0.0.1:1/mayfly/none:1") {
		t.Errorf("%v, want one of pulling", err)
	}
	r.Spec.Image = ""
	if err := l.Start(t.Context(), r.Spec); err == nil || !strings.Contains(err.Error(), "image is missing") {
		t.Errorf("%v, want one of the missing image", err)
	}
}

func testPurge(t *testing.T, s subject) {
	l := s.open(t, s.socket)
	for _, script := range []string{"sleep 60", "true"} {
		r := s.NewRunner(t, script)
		r.Spec.Network = pool.NetworkOwn
		r.Start(t, l)
	}
	if err := l.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	s.NothingLeft(t)
	if _, err := l.api.NetworkInspect(t.Context(), l.networkName(), client.NetworkInspectOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("%v: want that the network is gone", err)
	}
}

// BenchmarkStart measures Start until the agent runs, and a whole container, beside
// podman's own command.
func BenchmarkStart(b *testing.B) {
	s := on(b, dockertest.Serve(b))
	l := s.New(b)
	s.Bench(b, l)
	b.Run("bare whole", func(b *testing.B) {
		args := append(docker.Flags(), "run", "--rm", "--network=none", "--ulimit=nofile=8192:16384", "--ulimit=nproc=16384:32768", s.Image, "true")
		for b.Loop() {
			cmd := exec.Command("podman", args...)
			cmd.Stdout = io.Discard
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
