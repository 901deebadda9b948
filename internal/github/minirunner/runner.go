// Package minirunner is a small stand-in for GitHub's own runner, actions/runner,
// where that is not at hand: in Mayfly's demo and tests, and to try out a runner
// set-up. It speaks GitHub's runner protocol (broker v2): it registers with a token
// or a JIT configuration, waits for a job, runs it and reports it.
//
// It is as strict as GitHub's runner, so that a server, an image or a sandbox which
// that would not take fails with this one, too: it wants the same answers, writes
// to the same places, prints the same lines, and ends with the same exit codes. It
// follows actions/runner 2.336.0; a .cs file that is named in a comment is there.
//
// It runs scripts, composite and JavaScript actions on Linux. It runs no
// containers. For real work use the official runner:
// https://github.com/actions/runner.
package minirunner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/worker"
)

// Version is what the runner says when GitHub asks: that of the official runner
// which it follows.
const Version = "2.336.0"

// Exit codes, as the official runner has them (Constants.cs, Runner.ReturnCode).
const (
	ExitDone          = 0
	ExitTerminated    = 1
	ExitRetryable     = 2
	ExitUpdating      = 3
	ExitUpdatingOnce  = 4 // of a runner for one job
	ExitConflict      = 5
	ExitDeprecated    = 7
	exitCrashed       = 134 // of .NET, for an exception that nobody caught
	deprecatedExitEnv = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"
)

// Config is what [Run] needs.
type Config struct {
	Identity Identity
	Version  string            // what it says it is; [Version] if empty
	Root     string            // folder of the runner: its configuration, _diag and externals
	Work     string            // folder for workspaces; if empty what Identity says, in Root
	Cache    string            // folder of .NET's cache of locations; if empty it is done without
	Env      map[string]string // the runner's environment, which steps start from
	Out, Err io.Writer         // get the official runner's lines; Err is Out if nil
	HTTP     *http.Client
	Now      func() time.Time
	Pauses   Pauses // those of [OfficialPauses] if zero
}

// Pauses are how long a runner waits for things.
type Pauses struct {
	worker.Pauses

	Cache      time.Duration // in all, for a cache of locations that cannot be written
	Session    time.Duration // before another attempt at a session
	Poll       wire.Span     // before another poll, after one that failed
	PollLater  wire.Span     // the same after five that failed
	Renew      time.Duration // between renewals of a job
	FirstRenew wire.Span     // before another attempt at the first renewal
	RenewAgain wire.Span     // before another attempt at a later one
	Throttle   time.Duration // after the second job that was not there; then it grows
}

// OfficialPauses are those of GitHub's runner (BrokerMessageListener.cs,
// JobDispatcher.cs, ErrorThrottler.cs). That of the cache was measured.
func OfficialPauses() Pauses {
	second := func(least, most int) wire.Span {
		return wire.Span{Least: time.Duration(least) * time.Second, Most: time.Duration(most) * time.Second}
	}
	return Pauses{
		Pauses: worker.OfficialPauses(), Cache: 900 * time.Millisecond, Session: 30 * time.Second,
		Poll: second(15, 30), PollLater: second(30, 60), Renew: time.Minute,
		FirstRenew: second(1, 10), RenewAgain: second(5, 15), Throttle: time.Second,
	}
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, Version)
	c.Work = cmp.Or(c.Work, filepath.Join(c.Root, cmp.Or(c.Identity.WorkFolder, "_work")))
	for _, folder := range []*string{&c.Root, &c.Work} { // steps have folders of their own
		if absolute, err := filepath.Abs(*folder); err == nil {
			*folder = absolute
		}
	}
	if c.Err == nil {
		c.Err = c.Out
	}
	if c.Pauses == (Pauses{}) {
		c.Pauses = OfficialPauses()
	}
	return c
}

// Run connects and runs jobs, one if the runner is ephemeral, until ctx ends, and
// returns the process's exit code.
func Run(ctx context.Context, c Config) int {
	c = c.withDefaults()
	diag, err := openDiag(c)
	if err != nil {
		fmt.Fprintf(c.Err, "Unhandled exception. %s\n", exception(err))
		return exitCrashed
	}
	defer diag.Close()
	l := newListener(c, slog.New(slog.NewTextHandler(diag, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err := configure(c); err != nil {
		l.complain("%s", exceptionText(err))
		return ExitTerminated
	}
	code := l.exit(l.listen(ctx))
	l.trace.Info("runner execution has finished", "code", code)
	return code
}

// An ending is a reason to exit that is not a failure.
type ending struct {
	code int
	text string // for the person; empty if it was told before
}

func (e *ending) Error() string { return e.text }

// exit is the exit code for what listen returned, of which it tells the person
// (Program.cs).
func (l *listener) exit(err error) int {
	var end *ending
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return ExitDone
	case errors.As(err, &end):
		if end.text != "" {
			l.complain("%s", end.text)
		}
		return end.code
	}
	l.complain("An error occurred: %s", wire.Reason(err))
	return ExitRetryable
}

// say prints a line with the time before it; what supervises a runner reads them.
func (c Config) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "%s: %s\n", c.stamp(), fmt.Sprintf(format, args...))
}

// complain prints a line where errors go.
func (c Config) complain(format string, args ...any) { fmt.Fprintf(c.Err, format+"\n", args...) }

func (c Config) stamp() string { return c.Now().UTC().Format("2006-01-02 15:04:05Z") }
