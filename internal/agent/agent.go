// Package agent is stage 6: the first process of a runner's container. It claims, starts the runner
// with the configuration it gets, reports on it, and leaves.
//
// It has no credential of ours. Its [Channel] identifies it: on one machine the claim socket in its
// container, on AWS a signature with the container's role (agent/signed). The JIT configuration
// goes into the environment of the runner's process and nowhere else, so that no file, argument or
// environment that outlives the runner contains it.
//
// The runner is GitHub's own program, unchanged. The agent learns from the lines it prints whether
// it is idle or busy, and from its exit code why it ended.
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

// Exit codes of the agent, except the first one. Any other code is the runner's; 128+n means that
// signal n ended the runner.
const (
	ExitDeprecated  = 7   // the runner's: GitHub refuses its version; also if the runner printed that and exited with another code
	ExitForeign     = 70  // the program exited with 7 but, by its output, is not GitHub's runner
	ExitUsage       = 64  // invalid command line
	ExitUnreachable = 69  // no answer to the claim in time
	ExitRefused     = 77  // the claim was refused: no runner was started
	ExitNotStarted  = 126 // the runner's program could not be started
	ExitNotFound    = 127 // the runner's program does not exist
	ExitTerminated  = 143 // told to leave before the claim was answered
)

// A Config configures [Run].
type Config struct {
	Claim   Channel       // the channel of claim and reports
	Command []string      // the runner's program and its arguments
	Env     []string      // of the container, inherited by the runner
	Stdout  io.Writer     // gets the runner's output, within bounds
	Stderr  io.Writer     // gets the runner's error output, within the same bounds
	Within  time.Duration // time limit for the claim
	Grace   time.Duration // between asking the runner to end and killing it
	Log     *slog.Logger

	Engine func(env []string) (more []string, err error) // sets up the runner's container engine; nil for none

	Memory func() pool.MemoryUse // of the container until now; nil if unknown
}

// lastWords is how long the agent tries to report the end of its runner. The launcher notices the
// end, too, but not the reason.
const lastWords = 10 * time.Second

// Run claims, supervises the runner until it has ended, and returns the exit code for the process.
// When ctx ends, the runner is asked to end. A process may call Run once: like the first process of
// a container must, it waits for every child there is.
func Run(ctx context.Context, c Config) int {
	client := newClient(c.Claim)
	if err := c.setUpEngine(); err != nil {
		return leave(ctx, c, client, err)
	}
	grant, err := claimWithin(ctx, client, c.Within)
	if err != nil {
		return leave(ctx, c, client, err)
	}
	if err := c.trust(grant.CA); err != nil {
		return leave(ctx, c, client, err)
	}
	p, err := startRunner(c, grant)
	if err != nil {
		return leave(ctx, c, client, err)
	}
	c.Log.Info("runner started", "runner", grant.Runner)
	grant.JIT = "" // only the runner's environment has it now
	gone := supervise(ctx, c, client, p, grant)
	p.output.finish(c.Stdout)
	c.Log.Info("runner gone", "runner", grant.Runner, "code", gone.ExitCode, "reason", gone.Reason)
	say(c, client, gone)
	return gone.ExitCode
}

// setUpEngine sets the runner's engine up before the claim, so that no job is lost when it cannot.
func (c *Config) setUpEngine() error {
	if c.Engine == nil {
		return nil
	}
	more, err := c.Engine(environment(c.Env))
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	for _, v := range more {
		c.Env = set(c.Env, v)
	}
	return nil
}

func claimWithin(ctx context.Context, client *client, limit time.Duration) (claim.Grant, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer to the claim within %v", limit))
	defer cancel()
	return client.claim(ctx)
}

// leave ends an agent whose runner never started.
func leave(ctx context.Context, c Config, client *client, err error) int {
	c.Log.Error("leaving without a runner", "err", err)
	code := exitCode(ctx, err)
	if code != ExitUnreachable && code != ExitTerminated {
		say(c, client, claim.Report{Phase: claim.PhaseGone, ExitCode: code, Reason: clip(err.Error())})
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

// say makes the last report. It has its own time limit, because ctx may have ended.
func say(c Config, client *client, gone claim.Report) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if err := client.insist(ctx, gone); err != nil {
		c.Log.Warn("report not taken", "phase", gone.Phase, "err", err)
	}
}
