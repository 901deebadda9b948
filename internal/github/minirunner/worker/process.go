package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// maxLine is where a line that does not end is cut.
const maxLine = 64 << 10

const operationCanceled wire.Words = "The operation was canceled."

// run runs a process of the step. When the job is cancelled or the time is up, the
// process gets SIGINT, SIGTERM and SIGKILL. What it has started does not: that is
// for the end of the job to find (see [job.orphans]).
func (s *step) run(alive context.Context, cmd *exec.Cmd, output func(line string)) error {
	out := &lineWriter{each: output}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = max(s.job.config.Pauses.Output, time.Millisecond) // 0 would wait for ever
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	ended := make(chan struct{})
	stopped := make(chan error, 1)
	go func() { stopped <- s.stopOn(alive, cmd, ended) }()
	err := cmd.Wait()
	close(ended)
	reason := <-stopped
	out.flush()
	var exit *exec.ExitError
	switch {
	case reason != nil:
		return reason
	case errors.As(err, &exit):
		return wire.Said("Process completed with exit code %d.", exitCode(exit))
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	return err
}

// exitCode is the code of a process as .NET tells it: 128 and the signal if one
// ended it.
func exitCode(e *exec.ExitError) int {
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.ExitCode()
}

// stopOn ends a process when the job is cancelled or the step's time is up, and
// returns why; nil when the process ended first.
func (s *step) stopOn(alive context.Context, cmd *exec.Cmd, ended <-chan struct{}) error {
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
	pauses := s.job.config.Pauses
	for _, next := range []struct {
		signal syscall.Signal
		pause  time.Duration
	}{{syscall.SIGINT, pauses.Interrupt}, {syscall.SIGTERM, pauses.Terminate}, {syscall.SIGKILL, 0}} {
		_ = cmd.Process.Signal(next.signal) // fails when the process has ended just now
		select {
		case <-ended:
			return reason
		case <-time.After(next.pause):
		}
	}
	return reason
}

// A lineWriter splits its input into lines.
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
