package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a handle of a process that need not be a child: a pidfd. Unlike a number, it never
// refers to another process. See pidfd_open(2).
type process struct{ fd *os.File }

// openProcess returns a handle of pid. The error is os.ErrProcessDone if there is no such process.
func openProcess(pid int) (process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return process{}, os.ErrProcessDone
	} else if err != nil {
		return process{}, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return process{os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (p process) close() { p.fd.Close() }

// wait blocks until p has ended. It uses Go's network poller, so a wait does not hold a thread.
func (p process) wait(ctx context.Context) error {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		p.fd.SetReadDeadline(time.Time{})
	}()
	err = conn.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, 0)
		return err == nil && n > 0
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// signal sends s to p. It returns nil if p has ended.
func (p process) signal(s syscall.Signal) error {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) })
	if errors.Is(sent, unix.ESRCH) {
		sent = nil
	}
	return errors.Join(err, sent)
}
