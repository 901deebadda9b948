package dockertest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/docker"
)

// Engines are the engines that tests run on, by name: what starts one.
var Engines = map[string]func(testing.TB) (socket string){"podman": Serve, "docker": ServeDocker}

// Each runs a test on each engine, side by side.
func Each(t *testing.T, test func(t *testing.T, socket string)) {
	for name, serve := range Engines {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, serve(t)) })
	}
}

// patience is for a daemon's start and end.
const patience = time.Minute

// ServeDocker returns a socket on which a dockerd of the test's own answers until the
// test is over. All that it keeps is in a temporary folder. Where it cannot, the test is
// skipped, loudly; in CI, where everything is there, that is a failure.
func ServeDocker(t testing.TB) (socket string) {
	t.Helper()
	path, err := exec.LookPath("dockerd")
	if err != nil {
		lacking(t, fmt.Errorf("%w: scripts/setup test installs it", err))
	}
	if os.Geteuid() != 0 {
		lacking(t, errors.New("dockerd needs root"))
	}
	d := &daemon{dir: socketDir(t), exited: make(chan struct{})}
	if err := d.start(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.end(t) })
	if err := d.ready(t); err != nil {
		lacking(t, fmt.Errorf("%w\n%s", err, d.said()))
	}
	return d.socket()
}

// A daemon is a dockerd with its own containerd.
type daemon struct {
	dir    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

func (d *daemon) socket() string { return filepath.Join(d.dir, "docker.sock") }

// start starts dockerd without a network of its own: what those need may be missing,
// and the host's rules are not a test's to change. Its containers are in a namespace of
// their own, should it find a containerd that serves others, too. It does not outlive
// the test's process.
// https://docs.docker.com/reference/cli/dockerd/
func (d *daemon) start(path string) error {
	in := func(name string) string { return filepath.Join(d.dir, name) }
	log, err := os.Create(in("log"))
	if err != nil {
		return err
	}
	defer log.Close()
	namespace := filepath.Base(d.dir)
	d.cmd = exec.Command(path, "--host=unix://"+d.socket(), "--data-root="+in("data"), "--exec-root="+in("exec"), "--pidfile="+in("pid"),
		"--containerd-namespace="+namespace, "--containerd-plugins-namespace=plugins-"+namespace,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--config-file="+in("daemon.json"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := os.WriteFile(in("daemon.json"), []byte("{}"), 0o600); err != nil { // not the host's
		return err
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel takes the thread that started it for the parent
		err := d.cmd.Start()
		started <- err
		if err == nil {
			d.cmd.Wait()
			close(d.exited)
		}
	}()
	return <-started
}

// ready blocks until dockerd answers.
func (d *daemon) ready(t testing.TB) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; {
		_, err := docker.Find(t.Context(), d.socket())
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
		select {
		case <-tick.C:
		case <-d.exited:
			return fmt.Errorf("dockerd ended (%v): %w", d.cmd.ProcessState, err)
		}
	}
}

// end stops dockerd, which stops its containerd.
func (d *daemon) end(t testing.TB) {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(patience):
		t.Errorf("dockerd does not end\n%s", d.said())
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.exited
	}
	// It leaves the namespace of the host's network mounted where it made it.
	netns := filepath.Join(d.dir, "exec", "netns", "default")
	if err := unix.Unmount(netns, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		t.Errorf("unmounting %s: %v", netns, err)
	}
}

// said returns the end of what dockerd printed.
func (d *daemon) said() []byte {
	const most = 4000
	log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return bytes.TrimSpace(log[max(0, len(log)-most):])
}
