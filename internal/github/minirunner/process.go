package minirunner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// outputDelay is how long the output of a step that has ended is waited for: a
// process that it left running may hold it open.
const outputDelay = time.Second

// maxLine is where a line that does not end is cut.
const maxLine = 64 << 10

// A verdict is why a step failed, in the words of GitHub's own logs.
type verdict string

func (v verdict) Error() string { return string(v) }

const operationCanceled verdict = "The operation was canceled."

// runCommand runs a process of the step in a group of its own. When the job is
// cancelled or the time is up, the group gets SIGINT, SIGTERM and SIGKILL, as
// GitHub's runner sends them.
func (s *step) runCommand(alive context.Context, cmd *exec.Cmd) error {
	out := &lineWriter{each: s.output}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = outputDelay
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s.job.groups = append(s.job.groups, cmd.Process.Pid)
	ended := make(chan struct{})
	stopped := make(chan error, 1)
	go func() { stopped <- s.stopOn(alive, cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	reason := <-stopped
	out.flush()
	var exit *exec.ExitError
	switch {
	case reason != nil:
		return reason
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return verdict(fmt.Sprintf("Process completed with exit code %d.", exit.ExitCode()))
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	return err
}

// stopOn ends a process group when the job is cancelled or the step's time is up,
// and returns why; nil when the process ended first.
func (s *step) stopOn(alive context.Context, group int, ended <-chan struct{}) error {
	cancelled := s.job.cancelled.Done()
	if s.late {
		cancelled = nil
	}
	var reason error
	select {
	case <-ended:
		return nil
	case <-cancelled:
		reason = operationCanceled
	case <-alive.Done():
		reason = context.Cause(alive)
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		syscall.Kill(-group, signal)
		select {
		case <-ended:
			return reason
		case <-time.After(s.job.config.Grace):
		}
	}
	return reason
}

// A lineWriter cuts what is written to it into lines.
type lineWriter struct {
	each func(line string)
	buf  []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		w.buf = append(w.buf, part...)
		if whole || len(w.buf) >= maxLine {
			w.end()
		}
		if !whole {
			return n, nil
		}
		b = rest
	}
}

// flush ends a line that was begun.
func (w *lineWriter) flush() {
	if len(w.buf) > 0 {
		w.end()
	}
}

func (w *lineWriter) end() {
	w.each(strings.ToValidUTF8(strings.TrimSuffix(string(w.buf), "\r"), "�"))
	w.buf = w.buf[:0]
}
