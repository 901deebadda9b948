// Package podman gives a runner a container engine for itself: Podman's service, which speaks
// Docker's API, run by the runner's user in the runner's container. It starts when
// somebody first connects, so that jobs that need no engine do not wait for it.
//
// The container has a user namespace, in which Podman makes further ones; see [fleet/engine].
package podman

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config is what [Listen] needs.
type Config struct {
	Folder string // on a disk for the engine; the user's
	Socket string // where the engine is to answer
	Mirror string // URL of a mirror of Docker Hub; may be empty
	Env    []string
	Log    *slog.Logger
}

// programs are what an image must have: the engine, what gives it user ids, and Docker's command line.
var programs = [...]string{"podman", "newuidmap", "newgidmap", "docker"}

// ErrImage is of an image without what an engine needs.
var ErrImage = errors.New("docker: engine needs an image with more in it")

// Listen sets an engine up and listens in its place: the first connection starts it. It
// returns the variables that the engine and its clients need. The engine ends with the container.
func Listen(c Config) (env []string, err error) {
	var missing []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s is missing; image.docker: true adds it", ErrImage, strings.Join(missing, ", "))
	}
	env, err = c.setUp()
	if err != nil {
		return nil, err
	}
	// A listener of a container that was restarted is gone, its file is not.
	if err := os.Remove(c.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	file, err := l.File()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	own := append(slices.Concat(c.Env, env), "XDG_RUNTIME_DIR="+c.in("run"), "DISABLE_HC_SYSTEMD=true")
	s := &service{listener: l, file: file, env: own, log: c.Log, checker: newChecker(c.Socket)}
	go s.watch()
	return env, nil
}

// A service starts the engine whenever somebody connects and it does not run.
type service struct {
	listener *net.UnixListener
	file     *os.File // the same, for the engine
	env      []string
	log      *slog.Logger
	checker  *checker

	mu  sync.Mutex
	pid int // of the engine; 0 before it was started
}

// watch waits for connections, which it leaves to the engine to accept.
func (s *service) watch() {
	raw, err := s.polled()
	for err == nil {
		waited := false
		err = raw.Read(func(uintptr) bool { // called again when there is something to accept
			defer func() { waited = true }()
			return waited
		})
		if err == nil && !s.runs() {
			err = s.start()
		}
	}
	s.log.Error("no container engine", "err", err)
	s.listener.Close() // so that clients learn of it
	s.file.Close()
}

// polled is the listener's socket, to be waited for only: a listener itself can just accept.
func (s *service) polled() (syscall.RawConn, error) {
	file, err := s.listener.File()
	if err != nil {
		return nil, err
	}
	return file.SyscallConn()
}

// runs reports whether the engine runs. Whoever is the container's first process has reaped it
// when it has ended.
func (s *service) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid != 0 && syscall.Kill(s.pid, 0) == nil
}

// start starts the engine on the listener, as systemd does.
// https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
func (s *service) start() error {
	begun := time.Now()
	shell, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer nothing.Close()
	p, err := os.StartProcess(shell, []string{"sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec podman system service --time=0"}, &os.ProcAttr{
		Env:   s.env,
		Files: []*os.File{nothing, nothing, os.Stderr, s.file},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		go s.checker.run()
	}
	s.pid = p.Pid
	s.log.Info("container engine started", "pid", p.Pid, "took", time.Since(begun))
	return p.Release() // whoever reaps the container's children reaps it, too
}
