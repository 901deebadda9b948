package engine

import (
	"bytes"
	"context"
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

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestMain(m *testing.M) { fleettest.Main(m, nil) }

const testImage = "localhost/mayfly-engine-test:latest"

// subject returns containers of a Podman service of the test's own, with an image
// of this machine's tools.
func subject(t testing.TB) fleettest.Subject {
	t.Helper()
	folder := t.TempDir()
	service, err := docker.Serve(t.Context(), filepath.Join(folder, "engine.sock"))
	fleettest.Require(t, err)
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	instance := fmt.Sprintf("test%d", os.Getpid())
	open := func(t testing.TB) fleet.Launcher {
		t.Helper()
		l, err := New(t.Context(), Config{Socket: service.Socket, Instance: instance, Agent: fleettest.Self(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	l := open(t).(*Launcher)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.Purge(ctx); err != nil {
			t.Error(err)
		}
	})
	load(t, l)
	return fleettest.Subject{
		New: open, Image: testImage, Limited: os.Geteuid() == 0,
		Hidden: []string{folder, service.Socket, "/root", "/boot", "/var/lib/containers"},
		Leftover: func() string {
			names, err := exec.Command("podman", append(docker.Flags(), "ps", "-aq", "--filter", "label="+labelInstance+"="+instance)...).Output()
			if err != nil {
				return err.Error()
			}
			return string(names)
		},
	}
}

// load gives the engine the image of the tests, once per change of the tools.
func load(t testing.TB, l *Launcher) {
	t.Helper()
	image, err := hosttools.Build(hosttools.Config{Tools: hosttools.Tools()})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := hosttools.Write(&archive, testImage, image); err != nil {
		t.Fatal(err)
	}
	if err := l.Load(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	if has, err := l.Has(t.Context(), testImage); err != nil || !has {
		t.Fatalf("Has = %v, %v after Load", has, err)
	}
}

func TestEngine(t *testing.T) {
	s := subject(t)
	t.Run("contract", func(t *testing.T) { fleettest.Run(t, s) })
	for name, test := range map[string]func(*testing.T, fleettest.Subject){
		"host tools":        testHostTools,
		"own network":       testOwnNetwork,
		"half made":         testHalfMade,
		"names of others":   testNamesOfOthers,
		"image not there":   testImageNotThere,
		"service restarted": testServiceRestarted,
		"purge":             testPurge,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// testHostTools uses some of the image's programs together.
func testHostTools(t *testing.T, s fleettest.Subject) {
	l, r := s.New(t), s.NewRunner(t, "echo ok | sed s/o/0/; git --version | cut -d' ' -f1-2")
	r.Start(t, l)
	if got, want := r.Rest(t), "0k\ngit version\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// testOwnNetwork reaches the host by the network's gateway and not its loopback.
func testOwnNetwork(t *testing.T, s fleettest.Subject) {
	l := s.New(t).(*Launcher)
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
func testHalfMade(t *testing.T, s fleettest.Subject) {
	l, r := s.New(t).(*Launcher), s.NewRunner(t, "exit 5")
	options, err := l.options(r.Spec)
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
func testNamesOfOthers(t *testing.T, s fleettest.Subject) {
	l, r := s.New(t).(*Launcher), s.NewRunner(t, "sleep 60")
	r.Start(t, l)
	other := s.New(t).(*Launcher)
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

func testImageNotThere(t *testing.T, s fleettest.Subject) {
	l, r := s.New(t).(*Launcher), s.NewRunner(t, "true")
	r.Spec.Image = "127.0.0.1:1/mayfly/none:1" // nothing listens there
	if err := l.Start(t.Context(), r.Spec); err == nil || !strings.Contains(err.Error(), "pulling image 127.0.0.1:1/mayfly/none:1") {
		t.Errorf("%v, want one of pulling", err)
	}
	r.Spec.Image = ""
	if err := l.Start(t.Context(), r.Spec); err == nil || !strings.Contains(err.Error(), "image is missing") {
		t.Errorf("%v, want one of the missing image", err)
	}
}

// testServiceRestarted loses the engine's API, but no container.
func testServiceRestarted(t *testing.T, s fleettest.Subject) {
	socket := filepath.Join(t.TempDir(), "engine.sock")
	first, err := docker.Serve(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Launcher {
		l, err := New(t.Context(), Config{Socket: socket, Instance: s.New(t).(*Launcher).config.Instance, Agent: fleettest.Self(t)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l, r := open(), s.NewRunner(t, "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done")
	r.Start(t, s.New(t))
	r.Line(t)
	waited := make(chan error)
	go func() {
		_, err := l.Wait(t.Context(), r.Spec.Runner)
		waited <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err == nil {
		t.Error("Wait returned without an error from an engine that went away")
	}
	second, err := docker.Serve(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if all, err := l.List(t.Context()); err != nil || len(all) != 1 || !all[0].Running {
		t.Errorf("%v, %v: want the runner", all, err)
	}
}

func testPurge(t *testing.T, s fleettest.Subject) {
	l := s.New(t).(*Launcher)
	for _, script := range []string{"sleep 60", "true"} {
		r := s.NewRunner(t, script)
		r.Spec.Network = pool.NetworkOwn
		r.Start(t, l)
	}
	if err := l.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	s.NothingLeft(t)
	networks, err := exec.Command("podman", append(docker.Flags(), "network", "ls", "-q")...).Output()
	if err != nil || strings.Contains(string(networks), l.networkName()) {
		t.Errorf("%v, networks left: %s", err, networks)
	}
}

// BenchmarkStart measures Start until the agent runs, and a whole container, beside
// podman's own command.
func BenchmarkStart(b *testing.B) {
	s := subject(b)
	l := s.New(b)
	b.Run("launcher", func(b *testing.B) {
		for b.Loop() {
			r := s.NewRunner(b, "true")
			if err := l.Start(b.Context(), r.Spec); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			r.Wait(b, l)
			r.Stop(b, l, 0)
			b.StartTimer()
		}
	})
	b.Run("launcher whole", func(b *testing.B) {
		for b.Loop() {
			r := s.NewRunner(b, "true")
			if err := l.Start(b.Context(), r.Spec); err != nil {
				b.Fatal(err)
			}
			r.Wait(b, l)
			r.Stop(b, l, 0)
		}
	})
	b.Run("bare whole", func(b *testing.B) {
		args := append(docker.Flags(), "run", "--rm", "--network=none", "--ulimit=nofile=8192:16384", "--ulimit=nproc=16384:32768", testImage, "true")
		for b.Loop() {
			cmd := exec.Command("podman", args...)
			cmd.Stdout = io.Discard
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
