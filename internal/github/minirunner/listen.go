package minirunner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/worker"
)

// A listener is a runner while it runs. Its fields belong to the goroutine of
// [listener.listen], if they do not lock for themselves.
type listener struct {
	Config
	trace   *slog.Logger
	plain   *wire.Caller                // without authorization
	access  atomic.Pointer[wire.Caller] // with the runner's access token
	session string

	job     *dispatch // that runs; nil when there is none
	update  chan error
	missing int // jobs in a row that were not there
}

func newListener(c Config, trace *slog.Logger) *listener {
	agent := fmt.Sprintf("GitHubActionsRunner-linux-x64/%s (Mayfly's mini runner) ClientId/%s RunnerId/%d GroupId/%d",
		c.Version, c.Identity.ClientID, c.Identity.ID, c.Identity.PoolID)
	return &listener{Config: c, trace: trace, plain: &wire.Caller{HTTP: c.HTTP, UserAgent: agent}}
}

func (l *listener) status() string {
	if l.job != nil {
		return statusBusy
	}
	return statusOnline
}

// listen is the life of the runner (Runner.cs, RunAsync).
func (l *listener) listen(ctx context.Context) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	fmt.Fprintf(l.Out, "Current runner version: '%s'\n", l.Version)
	l.say("Listening for Jobs")
	err := l.loop(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(l.Out, "Exiting...")
	}
	l.endJob(ctx.Err() != nil)
	l.closeSession(ctx)
	if errors.Is(err, errDone) {
		err = nil
	}
	if err == nil { // its one job is done, or it was removed
		l.unconfigure()
	}
	return err
}

// errDone says that a runner for one job has had it.
var errDone = errors.New("the job is done")

// endJob ends a job that still runs, because the runner is stopped or cannot go on,
// and waits for it.
func (l *listener) endJob(stopped bool) {
	if l.job == nil {
		return
	}
	why := worker.ErrCancelled
	if stopped {
		why = worker.ErrShutdown
	}
	l.job.cancel(why)
	<-l.job.done
}

// loop takes messages until there is a reason to leave. It returns nil when GitHub
// has removed the runner.
func (l *listener) loop(ctx context.Context) error {
	for {
		polling, stop := context.WithCancel(ctx)
		got := l.nextMessage(polling)
		var err error
		select {
		case p := <-got:
			if err = p.err; err == nil {
				err = l.obey(ctx, p.message)
			}
			got = nil
		case <-l.jobDone():
			if l.job = nil; l.Identity.Ephemeral {
				err = errDone
			}
		case err = <-l.update:
			if l.update = nil; err == nil {
				err = &ending{code: l.updatingCode()}
			}
		}
		stop()
		if got != nil {
			<-got
		}
		if err != nil {
			return l.leaving(err)
		}
	}
}

// leaving is the error of loop for one that ended it.
func (l *listener) leaving(err error) error {
	r, _ := wire.RefusalOf(err, wire.Broker)
	switch status := wire.Status(err); {
	case r.Kind == kindNotFound:
		l.complain("The runner no longer exists on the server. Cleaning up local configuration.")
		return nil
	case r.Kind == kindTooOld:
		return l.deprecated(r.Message)
	case status == http.StatusForbidden:
		return l.deprecated(fmt.Sprintf("%s Runner version v%s is deprecated and cannot receive messages.", wire.Reason(err), l.Version))
	case status == http.StatusUnauthorized:
		return &ending{ExitTerminated, "An error occurred: Get next message failed with non-retryable error."}
	}
	return err
}

// deprecated ends a runner whose version gets no messages any more. The exit code
// tells it only to who asked for that.
func (l *listener) deprecated(text string) error {
	end := &ending{ExitTerminated, "An error occurred: " + text}
	if v := l.Env[deprecatedExitEnv]; v == "1" || strings.EqualFold(v, "true") {
		end.code = ExitDeprecated
	}
	return end
}

// polled is how one call of next ended.
type polled struct {
	message *message
	err     error
}

// nextMessage waits for a message aside. The channel gets one value.
func (l *listener) nextMessage(ctx context.Context) <-chan polled {
	got := make(chan polled, 1)
	query := l.pollQuery()
	go func() {
		m, err := l.next(ctx, query)
		got <- polled{m, err}
	}()
	return got
}

// pollFailures is how many polls may fail in a row; the pauses grow after half of
// them (BrokerMessageListener.cs).
const pollFailures = 10

// next polls until there is a message. It returns an error after which another
// poll is of no use.
func (l *listener) next(ctx context.Context, query map[string][]string) (*message, error) {
	for failures := 0; ; {
		var m *message
		err := l.Pauses.Again.Retry(ctx, final, func() (err error) {
			m, err = l.poll(ctx, query)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && m != nil:
			return m, nil
		case err == nil:
			failures = 0
		case refused(err) == kindNoSession:
			return &message{MessageType: sessionLost}, nil
		case final(err) || wire.Status(err) == http.StatusUnauthorized:
			return nil, err
		default:
			if failures++; failures == pollFailures {
				return nil, err
			}
			if err := l.pollFailed(ctx, failures, err); err != nil {
				return nil, err
			}
		}
	}
}

// sessionLost stands for a message that says so.
const sessionLost = "RunnerSessionInvalid"

// pollFailed tells the person of the first failure in a row, waits, and gets a new
// access token, which does not matter if it fails: the next poll tries, too.
func (l *listener) pollFailed(ctx context.Context, failures int, err error) error {
	l.trace.Error("getting the next message", "err", err)
	if failures == 1 {
		l.complain("%s: Runner connect error: %s. Retrying until reconnected.", l.stamp(), pollReason(err))
	}
	pause := l.Pauses.Poll
	if failures > pollFailures/2 {
		pause = l.Pauses.PollLater
	}
	if err := l.login(ctx); err != nil {
		l.trace.Error("getting an access token", "err", err)
	}
	return pause.Wait(ctx)
}

// pollReason is the message of GitHub's runner about a failed poll.
func pollReason(err error) string {
	var answer *wire.StatusError
	if !errors.As(err, &answer) {
		return wire.Reason(err)
	}
	return fmt.Sprintf("Failed to get job message. Request to %s failed with status: %s. Error message %s",
		answer.Call, strings.ReplaceAll(http.StatusText(answer.Status), " ", ""), wire.Reason(err))
}
