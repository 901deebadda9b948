package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Service is Podman's API service, which Mayfly starts where Podman is installed without one.
// Containers do not depend on it and outlive it.
type Service struct {
	Socket string
	cmd    *exec.Cmd // nil if the service ran already
	ended  chan struct{}
}

// Serve starts `podman system service` on socket and returns when it answers. If a service
// answers there already, for example one of a Mayfly that was killed, Serve uses it. The error
// is [ErrNoEngine] if Podman is not installed.
func Serve(ctx context.Context, socket string) (*Service, error) {
	if _, err := Find(ctx, socket); err == nil {
		return &Service{Socket: socket}, nil
	}
	podman, err := exec.LookPath("podman")
	if err != nil {
		return nil, fmt.Errorf("%w: podman is not installed: %w", ErrNoEngine, err)
	}
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s := &Service{Socket: socket, ended: make(chan struct{})}
	s.cmd = exec.Command(podman, append(Flags(), "system", "service", "--time=0", "unix://"+socket)...)
	s.cmd.Dir = filepath.Dir(socket)                        // conmon writes a file here if a container runs out of memory
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C reaches only this process, which closes the service itself
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting podman: %w", err)
	}
	go func() {
		defer close(s.ended)
		s.cmd.Wait()
	}()
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ready blocks until the service answers, which takes some 70 ms.
func (s *Service) ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := Find(ctx, s.Socket)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("podman ended (%v) before it served: %w", s.cmd.ProcessState, err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// Close stops the service if Serve started it, and removes its socket.
func (s *Service) Close() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
	}
	if err := os.Remove(s.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Flags returns arguments that every podman command needs on this host: crun, the usual runtime,
// refuses hosts whose control groups are not all of version 2. There runc is used, if installed.
func Flags() []string {
	var fs unix.Statfs_t
	unified := unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
	if _, err := exec.LookPath("runc"); err == nil && !unified {
		return []string{"--runtime", "runc"}
	}
	return nil
}
