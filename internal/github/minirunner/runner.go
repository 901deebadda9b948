// Package minirunner is a small stand-in for GitHub's own runner, actions/runner,
// where that is not at hand: in Mayfly's demo and tests, and to try out a runner
// set-up. It speaks GitHub's runner protocol (broker v2): it registers with a token
// or a JIT configuration, waits for a job, runs it and reports it.
//
// It runs the run: steps of a job on Linux, and checks out with git what
// actions/checkout would. It runs no other action, no container and no service, has
// no tool cache and no self-update. A job that needs such a thing fails and says so.
// For real work use the official runner: https://github.com/actions/runner.
package minirunner

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Version is what the runner says when GitHub asks: that of an official runner
// which speaks the same protocol.
const Version = "2.336.0"

// Exit codes, as the official runner has them (Constants.cs, Runner.ReturnCode).
const (
	ExitDone       = 0
	ExitTerminated = 1
	ExitConflict   = 5
	ExitDeprecated = 7
)

// Config is what [Run] needs.
type Config struct {
	Identity Identity
	Version  string            // what it says it is; [Version] if empty
	Work     string            // folder for workspaces and temporary files
	Env      map[string]string // the runner's environment, which steps start from
	Out      io.Writer         // gets the official runner's lines
	HTTP     *http.Client
	Now      func() time.Time
	Renew    time.Duration // between renewals of a job; 0 means 60 s, as GitHub wants
	Grace    time.Duration // between SIGINT, SIGTERM and SIGKILL to a cancelled step; 0 means 5 s
}

// Run connects and runs jobs, one if the runner is ephemeral, until ctx ends, and
// returns the process's exit code.
func Run(ctx context.Context, c Config) int {
	if c.Renew == 0 {
		c.Renew = time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	c.Version = cmp.Or(c.Version, Version)
	err := listen(ctx, c)
	switch {
	case err == nil:
		return ExitDone
	case statusOf(err) == http.StatusConflict:
		fmt.Fprintln(c.Out, "A session for this runner already exists.")
		return ExitConflict
	case tooOld(err):
		fmt.Fprintf(c.Out, "An error occurred: Runner version v%s is deprecated and cannot receive messages.\n", c.Version)
		return ExitDeprecated
	case ctx.Err() != nil:
		fmt.Fprintln(c.Out, "Exiting...")
		return ExitDone
	}
	fmt.Fprintln(c.Out, "An error occurred:", err)
	return ExitTerminated
}

// say prints a line with the time before it, as the official runner does; what
// supervises a runner reads them.
func (c Config) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "%s: %s\n", c.Now().UTC().Format("2006-01-02 15:04:05Z"), fmt.Sprintf(format, args...))
}

// farewell is how long a runner that was stopped may take to tell GitHub.
const farewell = 5 * time.Second

func listen(ctx context.Context, c Config) error {
	caller, err := login(ctx, c.HTTP, c.Identity, c.Now())
	if err != nil {
		return err
	}
	b, err := connect(ctx, caller, c.Identity, c.Version)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		b.close(ctx) // the runner leaves either way, and GitHub ends idle sessions
	}()
	fmt.Fprintf(c.Out, "\n√ Connected to GitHub\n\nCurrent runner version: '%s'\n", c.Version)
	c.say("Listening for Jobs")
	for {
		took, err := c.poll(ctx, b)
		if err != nil || took && c.Identity.Ephemeral {
			return err
		}
	}
}

// poll waits for one message and acts on it. It says whether a job was run.
func (c Config) poll(ctx context.Context, b *broker) (took bool, err error) {
	m, err := c.message(ctx, b, statusOnline)
	if err != nil || m == nil || m.MessageType != jobRequest {
		return false, err
	}
	ref, err := m.reference()
	if err != nil {
		return false, err
	}
	if ref.ShouldAcknowledge {
		if err := b.acknowledge(ctx, ref); err != nil {
			return false, fmt.Errorf("acknowledging job %s: %w", ref.RequestID, err)
		}
	}
	job, err := acquire(ctx, b.caller, ref)
	if status := statusOf(err); status == http.StatusNotFound || status == http.StatusConflict || status == http.StatusUnprocessableEntity {
		return false, nil // another runner has it, or it was cancelled
	} else if err != nil {
		return false, err
	}
	return true, c.take(ctx, b, ref, job)
}

// message polls until there is a message, renewing the access token when it is
// no longer taken.
func (c Config) message(ctx context.Context, b *broker, status string) (m *message, err error) {
	err = persist(ctx, func() error {
		m, err = b.next(ctx, status)
		return err
	})
	if statusOf(err) == http.StatusUnauthorized {
		var renewed *caller
		if renewed, err = login(ctx, c.HTTP, c.Identity, c.Now()); err == nil {
			b.caller = renewed
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return m, err
}

// take runs a job while its lease is renewed and its cancellation listened for.
func (c Config) take(ctx context.Context, b *broker, ref jobReference, m *jobMessage) error {
	c.say("Running job: %s", m.JobDisplayName)
	// The job outlives ctx: that its runner is stopped is a cancellation to it.
	alive, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	run, err := newRunService(c, ref, m)
	if err != nil {
		return err
	}
	var aside sync.WaitGroup
	aside.Go(func() { run.renew(alive, c.Renew) })
	aside.Go(func() { c.awaitCancellation(alive, b, m.JobID, cancel) })
	result := newJob(c, m).run(alive, cancelled)
	err = run.complete(alive, result)
	done()
	aside.Wait()
	if err != nil {
		return fmt.Errorf("completing job %q: %w", m.JobDisplayName, err)
	}
	c.say("Job %s completed with result: %s", m.JobDisplayName, result.conclusion)
	return nil
}
