// Package agent is stage 6: the first process of a runner's container. It claims,
// starts the runner with what it got, tells how it goes, and leaves.
//
// It holds no credential of ours. Who it is, its [Channel] says: on one machine the
// claim socket in its container, on AWS a signature of the container's role
// (agent/signed). The
// JIT configuration goes into the environment of the runner's process and nowhere
// else, so that no file, argument or environment that outlives the runner has it.
//
// The runner is GitHub's own program, unchanged. The agent learns that it is idle
// or busy from the lines it prints, and why it ended from its exit code.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Exit codes, all but the first the agent's own. Any other is the runner's, passed on;
// 128+n means that signal n ended the runner.
const (
	ExitDeprecated  = 7   // the runner's: GitHub refuses its version; also when it said so and had no code for it
	ExitUsage       = 64  // the command line was not understood
	ExitUnreachable = 69  // no answer to the claim in time
	ExitRefused     = 77  // the claim was refused: no runner was started
	ExitNotStarted  = 126 // the runner's program could not be started
	ExitNotFound    = 127 // there is no such program
	ExitTerminated  = 143 // told to leave before the claim was answered
)

// Config is what [Run] needs.
type Config struct {
	Claim   Channel       // over which it claims and reports
	Command []string      // the runner's program and its arguments
	Env     []string      // of the container, passed on to the runner
	Stdout  io.Writer     // gets what the runner prints, within bounds
	Stderr  io.Writer     // gets what the runner prints there, within the same bounds
	Within  time.Duration // for the claim to be answered
	Grace   time.Duration // between asking the runner to end and killing it
	Log     *slog.Logger

	Memory func() pool.MemoryUse // of the container until now; nil where that is not known
}

// lastWords is how long the agent tries to say that its runner is gone. The
// launcher sees that too, only without the reason.
const lastWords = 10 * time.Second

// Run claims, supervises the runner until it has ended, and returns the exit code
// for the process. When ctx ends the runner is asked to end, too. One process may
// call Run once: it waits for every child there is, as the first process of a
// container must.
func Run(ctx context.Context, c Config) int {
	d := newDesk(c.Claim)
	grant, err := claimWithin(ctx, d, c.Within)
	if err != nil {
		return leave(ctx, c, d, err)
	}
	p, err := start(c, grant)
	if err != nil {
		return leave(ctx, c, d, err)
	}
	c.Log.Info("runner started", "runner", grant.Runner)
	grant.JIT = ""
	gone := supervise(ctx, c, d, p, grant)
	p.output.finish(c.Stdout)
	c.Log.Info("runner gone", "runner", grant.Runner, "code", gone.ExitCode, "reason", gone.Reason)
	say(c, d, gone)
	return gone.ExitCode
}

func claimWithin(ctx context.Context, d *desk, limit time.Duration) (claim.Grant, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer to the claim within %v", limit))
	defer cancel()
	return d.claim(ctx)
}

// leave ends an agent whose runner never started.
func leave(ctx context.Context, c Config, d *desk, err error) int {
	c.Log.Error("leaving without a runner", "err", err)
	code := exitCode(ctx, err)
	if code != ExitUnreachable && code != ExitTerminated {
		say(c, d, claim.Report{Phase: claim.PhaseGone, ExitCode: code, Reason: clip(err.Error())})
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	var refused *claim.Refused
	switch {
	case errors.As(err, &refused):
		return ExitRefused
	case errors.Is(err, errStart) && (errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist)):
		return ExitNotFound
	case errors.Is(err, errStart):
		return ExitNotStarted
	case ctx.Err() != nil:
		return ExitTerminated
	}
	return ExitUnreachable
}

// say makes the last report. It has time of its own: ctx may have ended.
func say(c Config, d *desk, gone claim.Report) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if err := d.insist(ctx, gone); err != nil {
		c.Log.Warn("report not taken", "phase", gone.Phase, "err", err)
	}
}
