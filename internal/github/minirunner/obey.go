package minirunner

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/worker"
)

// The types of message that are acted on.
const (
	jobRequest      = "RunnerJobRequest"
	jobCancellation = "JobCancellation"
	runnerRefresh   = "RunnerRefresh"
	tokenRefresh    = "ForceTokenRefresh"
)

// obey does what a message says. An error of it ends the runner.
func (l *listener) obey(ctx context.Context, m *message) error {
	l.trace.Info("message received", "type", m.MessageType, "id", m.MessageID)
	switch m.MessageType {
	case sessionLost:
		return l.connect(ctx)
	case tokenRefresh:
		return l.login(ctx)
	case jobCancellation:
		return l.cancelJob(m)
	case runnerRefresh:
		return l.startUpdate(ctx, m)
	case jobRequest:
		if l.update == nil && l.job == nil {
			return l.takeJob(ctx, m)
		}
		l.trace.Info("skipping a job: there is one, or an update")
		return nil
	}
	l.trace.Error("unsupported message", "type", m.MessageType)
	return nil
}

// decode reads the body of a message.
func (m *message) decode(into any) error {
	if err := json.Unmarshal([]byte(m.Body), into); err != nil {
		return fmt.Errorf("reading message %d, a %s: %w", m.MessageID, m.MessageType, err)
	}
	return nil
}

// A jobReference is the body of a RunnerJobRequest (RunnerJobRequestRef.cs).
type jobReference struct {
	RequestID         string `json:"runner_request_id"`
	RunServiceURL     string `json:"run_service_url"`
	BillingOwnerID    string `json:"billing_owner_id"`
	ShouldAcknowledge bool   `json:"should_acknowledge"`
}

func (r jobReference) check() error {
	for name, value := range map[string]string{"runner_request_id": r.RequestID, "run_service_url": r.RunServiceURL} {
		if value == "" {
			return wire.Said("Value cannot be null. (Parameter '%s')", name)
		}
	}
	return nil
}

// takeJob acknowledges a job, acquires it and begins to run it. That another
// runner has it, or that it is gone, is nothing to speak of.
func (l *listener) takeJob(ctx context.Context, m *message) error {
	var ref jobReference
	if err := m.decode(&ref); err != nil {
		return err
	}
	if err := ref.check(); err != nil {
		return err
	}
	if ref.ShouldAcknowledge && !l.acknowledge(ctx, ref) {
		return nil
	}
	if err := l.login(ctx); err != nil { // a connection of its own, with a token of its own
		return err
	}
	job, err := l.acquire(ctx, ref)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case jobGone(err):
		return l.throttle(ctx)
	case err != nil:
		l.trace.Error("acquiring the job", "err", err)
		return nil
	}
	l.missing = 0
	return l.begin(ctx, job)
}

// acknowledge tells the broker that the job's message has come, as well as it can.
// It reports false if the job no longer exists.
func (l *listener) acknowledge(ctx context.Context, ref jobReference) bool {
	ctx, cancel := context.WithTimeout(ctx, acknowledgeLimit)
	defer cancel()
	err := l.call(ctx, http.MethodPost, "acknowledge?"+l.about().Encode(), map[string]string{"runnerRequestId": ref.RequestID}, nil)
	if err != nil {
		l.trace.Error("acknowledging the job", "err", err)
	}
	return refused(err) != kindJobNotFound
}

// acquire takes the job of ref: after it, no other runner can have it.
func (l *listener) acquire(ctx context.Context, ref jobReference) (*worker.Message, error) {
	address, err := wire.Resolve(ref.RunServiceURL, "acquirejob")
	if err != nil {
		return nil, err
	}
	var job *worker.Message
	err = l.Pauses.Again.Retry(ctx, jobGone, func() error {
		job = &worker.Message{}
		return l.access.Load().Post(ctx, address, map[string]string{
			"jobMessageId": ref.RequestID, "runnerOS": "Linux", "billingOwnerId": ref.BillingOwnerID,
		}, job)
	})
	return job, err
}

// jobGone reports whether the run service says that the job is not to be had.
func jobGone(err error) bool {
	r, _ := wire.RefusalOf(err, wire.RunService)
	return r.Status == http.StatusNotFound || r.Status == http.StatusConflict || r.Status == http.StatusUnprocessableEntity
}

// maxThrottle is the longest pause after jobs that were not there.
const maxThrottle = time.Minute

// throttle waits after jobs in a row that were not there, longer each time.
func (l *listener) throttle(ctx context.Context) error {
	if l.missing++; l.missing == 1 {
		return nil
	}
	return wire.Sleep(ctx, min(l.Pauses.Throttle<<min(l.missing-2, 10), maxThrottle))
}

// begin checks a job message as JobDispatcher.cs does and runs the job aside.
func (l *listener) begin(ctx context.Context, job *worker.Message) error {
	if err := job.Check(); err != nil {
		return err
	}
	system, err := job.System()
	if err != nil {
		return err
	}
	if err := wire.CheckJWT(system.Token()); err != nil {
		return err
	}
	l.job = l.dispatch(ctx, job, system)
	return nil
}

// cancelJob cancels the job that runs, if the message means it.
func (l *listener) cancelJob(m *message) error {
	var body struct {
		JobID   string `json:"jobId"`
		Timeout string `json:"timeout"` // such as 00:05:00
	}
	if err := m.decode(&body); err != nil {
		return err
	}
	if l.job == nil || !strings.EqualFold(body.JobID, l.job.id) {
		l.trace.Info("ignoring a cancellation of another job", "id", body.JobID)
		return nil
	}
	l.job.cancel(worker.ErrCancelled)
	l.job.killAfter(timeSpan(body.Timeout))
	return nil
}

// timeSpan reads .NET's form of a duration, hh:mm:ss; 5 minutes if it is none.
func timeSpan(text string) time.Duration {
	var hours, minutes, seconds time.Duration
	if n, err := fmt.Sscanf(text, "%d:%d:%d", &hours, &minutes, &seconds); n != 3 || err != nil {
		return 5 * time.Minute
	}
	return hours*time.Hour + minutes*time.Minute + seconds*time.Second
}

// pollQuery describes the runner in a poll.
func (l *listener) pollQuery() url.Values {
	query := l.about()
	query.Set("disableUpdate", fmt.Sprint(l.Identity.NoUpdate))
	return query
}
