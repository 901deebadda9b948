package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// drain is how long the output of a runner that has ended is waited for: what it
// left running in the background may hold it open.
const drain = time.Second

// A supervision is one runner from start to end. Its fields belong to the
// goroutine of [supervision.run].
type supervision struct {
	config Config
	desk   *desk
	runner *process
	phase  string           // last one seen
	ran    bool             // a job ran
	old    bool             // GitHub refused the runner's version
	again  int              // how often the runner restarted
	reason string           // why the runner was asked to end, if it was
	limit  time.Duration    // the idle limit
	idle   <-chan time.Time // its end, while it counts
	kill   <-chan time.Time // the end of the grace
	tell   chan claim.Report
}

// supervise sees the runner to its end and returns the report of that.
func supervise(ctx context.Context, c Config, d *desk, p *process, g claim.Grant) claim.Report {
	s := &supervision{
		config: c, desk: d, runner: p, limit: g.IdleLimit, idle: after(g.IdleLimit), tell: make(chan claim.Report, 2),
	}
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	told := make(chan struct{})
	go func() { s.teller(telling); close(told) }()
	gone := s.run(ctx, telling, after(g.TotalLimit))
	stop() // the report of the end says all that an earlier one could
	close(s.tell)
	<-told
	return gone
}

func (s *supervision) run(ctx, telling context.Context, total <-chan time.Time) claim.Report {
	order, phases := ctx.Done(), s.runner.phases
	leave := make(chan error, 1)
	for {
		select {
		case phase, open := <-phases:
			if !open {
				phases = nil
			}
			s.saw(phase)
		case <-s.idle:
			s.idle = nil
			go func() { leave <- s.desk.report(telling, claim.Report{Phase: claim.PhaseLeaving}) }()
		case err := <-leave:
			s.answered(err)
		case <-total:
			s.stop("total limit")
		case <-order:
			order = nil
			s.stop("terminated")
		case <-s.kill:
			s.runner.signal(syscall.SIGKILL)
		case status := <-s.runner.ended:
			return s.ended(status, phases)
		}
	}
}

// saw notes a phase that the runner's output told of.
func (s *supervision) saw(phase string) {
	if phase == phaseDeprecated {
		s.old = !s.ran
		return
	}
	if phase == "" || phase == s.phase {
		return
	}
	back := s.phase == claim.PhaseRestarting
	s.phase = phase
	s.runner.spent() // it listens, or is at work
	switch {
	case phase == claim.PhaseBusy:
		s.ran, s.idle = true, nil
	case phase == claim.PhaseRestarting:
		s.restarts()
	case back && !s.ran:
		s.idle = after(s.limit)
	}
	select {
	case s.tell <- claim.Report{Phase: phase}:
	default: // the socket is away; the end will be reported
	}
}

// A runner that goes to come again has these, of which GitHub's own takes 12 s for an
// update and 5 s after an error.
const (
	restartLimit = 10 * time.Minute // for one restart, a slow download with it
	maxRestarts  = 12               // one that never comes to listen for long restarts for ever
)

// restarts has the time that a restart takes not count as idle.
func (s *supervision) restarts() {
	s.again++
	s.config.Log.Info("the runner restarts", "times", s.again)
	switch {
	case s.ran:
	case s.again > maxRestarts:
		s.stop(fmt.Sprintf("restarted %d times without a job", s.again))
	default:
		s.idle = after(restartLimit)
	}
}

// answered acts on the answer to the wish to leave. An idle runner may be given a
// job at any moment, so that only GitHub can say that it is not busy.
func (s *supervision) answered(err error) {
	switch {
	case s.ran:
	case err == nil:
		s.stop("idle limit")
	case errors.Is(err, claim.ErrBusy):
		s.idle = after(s.limit) // in case the job never comes
	default:
		s.config.Log.Warn("idle limit passed, but not allowed to leave yet", "err", err)
		s.idle = after(min(longPause, s.limit))
	}
}

// stop asks the runner to end and sets the end of its grace.
func (s *supervision) stop(reason string) {
	if s.reason != "" {
		return
	}
	s.reason = reason
	s.config.Log.Info("stopping the runner", "reason", reason)
	s.runner.signal(syscall.SIGTERM)
	s.kill = time.After(s.config.Grace)
}

// ended removes what the runner left running and reports how it ended.
func (s *supervision) ended(status syscall.WaitStatus, phases <-chan string) claim.Report {
	s.runner.signal(syscall.SIGKILL)
	s.runner.spent()
	for limit := time.After(drain); phases != nil; {
		select {
		case phase, open := <-phases:
			if !open {
				phases = nil
			}
			s.saw(phase)
		case <-limit:
			phases = nil
		}
	}
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	if s.old {
		code, s.reason = ExitDeprecated, ""
	}
	gone := claim.Report{Phase: claim.PhaseGone, ExitCode: code, Ran: s.ran}
	if s.config.Memory != nil {
		gone.Memory = s.config.Memory()
	}
	if ownEnd := s.reason == "" || s.again > maxRestarts; ownEnd && (!s.ran || code != 0) {
		gone.Output = s.runner.output.last()
	}
	if s.reason == "" {
		s.reason = reasonOf(s.runner.program, code, s.ran, lastLine(gone.Output))
	}
	gone.Reason = clip(s.reason)
	return gone
}

// teller reports phases in their order, each until it is taken.
func (s *supervision) teller(ctx context.Context) {
	for r := range s.tell {
		if err := s.desk.insist(ctx, r); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("report not taken", "phase", r.Phase, "err", err)
		}
	}
}

// signalName returns the name of the signals that a runner commonly dies of.
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
		syscall.SIGTRAP: "SIGTRAP", syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE",
		syscall.SIGKILL: "SIGKILL", syscall.SIGSEGV: "SIGSEGV", syscall.SIGPIPE: "SIGPIPE", syscall.SIGTERM: "SIGTERM",
		syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGSYS: "SIGSYS",
	}
	if name := names[s]; name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}

// after is time.After with 0 for never.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}

// clip cuts what another program said down to what a report may hold.
func clip(reason string) string {
	const most = 900
	return strings.ToValidUTF8(reason[:min(len(reason), most)], "")
}
