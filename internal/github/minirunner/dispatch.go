package minirunner

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/worker"
)

// A dispatch is a job that runs (JobDispatcher.cs).
type dispatch struct {
	id     string // of the job
	cancel context.CancelCauseFunc
	kill   context.CancelFunc // ends it whatever it does
	done   chan struct{}      // closed when it has ended
}

// dispatch runs a job aside. It outlives ctx: that the runner is stopped is a
// reason for it to end.
func (l *listener) dispatch(ctx context.Context, m *worker.Message, system worker.Endpoint) *dispatch {
	alive, kill := context.WithCancel(context.WithoutCancel(ctx))
	cancelled, cancel := context.WithCancelCause(alive)
	stopped := context.AfterFunc(ctx, func() { cancel(worker.ErrShutdown) })
	d := &dispatch{id: m.JobID, cancel: cancel, kill: kill, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		defer kill()
		defer stopped()
		l.work(alive, cancelled, cancel, m, system)
	}()
	return d
}

// jobDone is closed when the current job has ended; nil without a job.
func (l *listener) jobDone() <-chan struct{} {
	if l.job == nil {
		return nil
	}
	return l.job.done
}

// The time that a cancelled job gets ends a little before GitHub's, but is never
// less than a minute.
const (
	killMargin = 15 * time.Second
	killLeast  = time.Minute
)

// killAfter ends the job at the latest when GitHub's patience does.
func (d *dispatch) killAfter(timeout time.Duration) {
	timer := time.AfterFunc(max(timeout-killMargin, killLeast), d.kill)
	go func() {
		<-d.done
		timer.Stop()
	}()
}

// work runs a job for as long as it can be renewed.
func (l *listener) work(alive, cancelled context.Context, cancel context.CancelCauseFunc, m *worker.Message, system worker.Endpoint) {
	l.say("Running job: %s", m.JobDisplayName)
	lease := &lease{
		pauses: l.Pauses, now: l.Now, plan: m.Plan.PlanID, job: m.JobID, url: system.URL,
		caller: &wire.Caller{HTTP: l.HTTP, Authorization: "Bearer " + system.Token(), UserAgent: l.plain.UserAgent},
	}
	if err := lease.begin(cancelled); err != nil {
		l.trace.Error("renewing the job for the first time; it is not begun", "err", err)
		return
	}
	renewing, stop := context.WithCancel(alive)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		if lease.keep(renewing) {
			cancel(errLeaseLost)
		}
	}()
	conclusion, err := worker.Run(alive, cancelled, l.workerConfig(), m)
	stop()
	<-kept
	if err != nil {
		l.trace.Error("the job's end could not be told", "err", err)
	}
	l.say("Job %s completed with result: %s", m.JobDisplayName, ended(context.Cause(cancelled), conclusion, err))
}

// errLeaseLost is why a job is to end that GitHub has given up.
var errLeaseLost = errors.New("GitHub has given the job up")

// ended is the result as it is printed. A lease that is gone because the job's end
// was told is not lost.
func ended(why error, c worker.Conclusion, untold error) worker.Conclusion {
	switch {
	case errors.Is(why, errLeaseLost) && untold != nil:
		return "Abandoned"
	case errors.Is(why, worker.ErrShutdown):
		return worker.Canceled
	}
	return c
}

func (l *listener) workerConfig() worker.Config {
	return worker.Config{
		Version: l.Version, Name: l.Identity.Name, Root: l.Root, Work: l.Work, Env: l.Env,
		HTTP: l.HTTP, UserAgent: l.plain.UserAgent, Now: l.Now, Pauses: l.Pauses.Pauses,
	}
}

// A lease is the right to run a job, which GitHub gives for ten minutes at a time.
type lease struct {
	pauses Pauses
	now    func() time.Time
	caller *wire.Caller
	url    string // of the run service
	plan   string
	job    string
	until  time.Time
}

// renew makes one call.
func (s *lease) renew(ctx context.Context) error {
	address, err := wire.Resolve(s.url, "renewjob")
	if err != nil {
		return err
	}
	var answer struct {
		LockedUntil time.Time `json:"lockedUntil"`
	}
	if err := s.caller.Post(ctx, address, map[string]string{"planId": s.plan, "jobId": s.job}, &answer); err != nil {
		return err
	}
	if answer.LockedUntil.IsZero() {
		return errors.New("the answer of renewjob has no lockedUntil")
	}
	s.until = answer.LockedUntil
	return nil
}

// notFound reports whether the run service says that the job is not the runner's.
func notFound(err error) bool {
	r, _ := wire.RefusalOf(err, wire.RunService)
	return r.Status == http.StatusNotFound
}

// begin renews for the first time: without it a job is not begun.
func (s *lease) begin(ctx context.Context) error {
	return s.pauses.FirstRenew.Retry(ctx, notFound, func() error { return s.renew(ctx) })
}

// lateness is how long after its end a lease is still tried to be renewed.
const lateness = 5 * time.Minute

// keep renews until ctx ends, and reports whether the lease was lost before.
func (s *lease) keep(ctx context.Context) (lost bool) {
	pause := s.pauses.Renew
	for {
		if wire.Sleep(ctx, pause) != nil {
			return false
		}
		err := s.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return false
		case notFound(err):
			return true
		case err == nil:
			pause = s.pauses.Renew
		case s.now().After(s.until.Add(lateness)):
			return true
		default:
			pause = s.pauses.RenewAgain.Pick()
		}
	}
}
