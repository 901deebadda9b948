package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// ExitRefused is the exit code with which a command refuses an event for good: EX_DATAERR of
// sysexits.h.
const ExitRefused = 65

// maxSaid is how much of a command's standard error is reported, in bytes.
const maxSaid = 1000

// A CommandConfig is a program to run.
type CommandConfig struct {
	Input
	Command []string // the program and its arguments, without a shell
	Dir     string   // its working folder
	Timeout time.Duration
}

// Command returns a target that runs a program for each event, with the event as a line on its
// standard input. Exit code 0 acknowledges the event, [ExitRefused] refuses it for good; any
// other code, and a timeout, leads to another attempt. The program does not inherit mayfly's
// environment, which may contain secrets: it gets only PATH, MAYFLY_EVENT (the event's id) and
// MAYFLY_RULE. When it ends, remaining processes of its process group are killed.
func Command(c CommandConfig) bus.Target {
	return withPayload(c.Input, func(ctx context.Context, e event.Event, payload []byte) error {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		var said excerpt
		cmd := exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)
		cmd.Dir = c.Dir
		cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "MAYFLY_EVENT=" + e.ID, "MAYFLY_RULE=" + c.Rule}
		cmd.Stdin, cmd.Stderr = bytes.NewReader(append(payload, '\n')), &said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = time.Second // a process that left the group may keep standard error open for ever
		err := cmd.Run()
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails if no process is left
		}
		return said.judge(cmd, errors.Join(err, ctx.Err()))
	})
}

// excerpt keeps the end of what is written to it.
type excerpt struct{ text []byte }

// Write implements io.Writer.
func (x *excerpt) Write(p []byte) (int, error) {
	x.text = append(x.text, p...)
	x.text = x.text[max(0, len(x.text)-maxSaid):]
	return len(p), nil
}

// judge turns the end of a command into the result of the delivery.
func (x *excerpt) judge(cmd *exec.Cmd, err error) error {
	if cmd.ProcessState != nil && cmd.ProcessState.Success() {
		return nil
	}
	err = fmt.Errorf("running %s: %w: %q", cmd.Path, err, strings.TrimSpace(string(x.text)))
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == ExitRefused {
		return bus.Permanent(err)
	}
	return err
}
