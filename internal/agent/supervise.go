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

// drain is how long to wait for the output of a runner that has ended: background processes it left
// may hold it open.
const drain = time.Second

// A supervision follows one runner from start to end. The goroutine of [supervision.run] owns its
// fields.
type supervision struct {
	config Config
	client *client
	runner *process
	phase  string           // last one seen
	ran    bool             // a job ran
	old    bool             // GitHub refused the runner's version
	words  bool             // it printed something that GitHub's runner prints
	again  int              // number of restarts
	reason string           // why the runner was asked to end, if it was
	limit  time.Duration    // the idle limit
	job    time.Duration    // the total limit, which counts anew from the start of a job
	total  <-chan time.Time // fires at the total limit
	idle   <-chan time.Time // fires at the idle limit; nil while it does not count
	kill   <-chan time.Time // fires at the end of the grace period
	tell   chan claim.Report
}

// supervise follows the runner to its end and returns the final report.
func supervise(ctx context.Context, c Config, client *client, p *process, g claim.Grant) claim.Report {
	s := &supervision{
		config: c, client: client, runner: p, limit: g.IdleLimit, idle: after(g.IdleLimit), job: g.TotalLimit, total: after(g.TotalLimit), tell: make(chan claim.Report, 2),
	}
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	told := make(chan struct{})
	go func() { s.teller(telling); close(told) }()
	gone := s.run(ctx, telling)
	stop() // the final report supersedes earlier ones
	close(s.tell)
	<-told
	return gone
}

func (s *supervision) run(ctx, telling context.Context) claim.Report {
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
			go func() { leave <- s.client.report(telling, claim.Report{Phase: claim.PhaseLeaving}) }()
		case err := <-leave:
			s.answered(err)
		case <-s.total:
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

// saw records a phase from the runner's output.
func (s *supervision) saw(phase string) {
	s.words = s.words || phase != ""
	if phase == phaseDeprecated {
		s.old = !s.ran
		return
	}
	if phase == "" || phase == phaseError || phase == s.phase {
		return
	}
	back := s.phase == claim.PhaseRestarting
	s.phase = phase
	s.runner.spent() // it listens, or is at work
	switch {
	case phase == claim.PhaseBusy:
		s.ran, s.idle, s.total = true, nil, after(s.job)
	case phase == claim.PhaseRestarting:
		s.restarts()
	case back && !s.ran:
		s.idle = after(s.limit)
	}
	select {
	case s.tell <- claim.Report{Phase: phase}:
	default: // the socket is gone; the end will be reported
	}
}

// A restarting runner has these limits. GitHub's own takes 12 s for an update and 5 s after an
// error.
const (
	restartLimit = 10 * time.Minute // for one restart, including a slow download
	maxRestarts  = 12               // a runner that never listens for long would restart forever
)

// restarts replaces the idle limit by a limit for the restart.
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

// answered acts on the answer to a PhaseLeaving report. An idle runner may be given a job at any
// moment, so only GitHub can tell that it is not busy.
func (s *supervision) answered(err error) {
	switch {
	case s.ran:
	case err == nil:
		s.stop("idle limit")
	case errors.Is(err, claim.ErrBusy):
		s.idle = after(s.limit) // in case the job never arrives
	default:
		s.config.Log.Warn("idle limit passed, but not allowed to leave yet", "err", err)
		s.idle = after(min(longPause, s.limit))
	}
}

// stop asks the runner to end and starts its grace period.
func (s *supervision) stop(reason string) {
	if s.reason != "" {
		return
	}
	s.reason = reason
	s.config.Log.Info("stopping the runner", "reason", reason)
	s.runner.signal(syscall.SIGTERM)
	s.kill = time.After(s.config.Grace)
}

// ended kills what the runner left running and returns the final report.
func (s *supervision) ended(status syscall.WaitStatus, phases <-chan string) claim.Report {
	s.runner.signal(syscall.SIGKILL)
	s.runner.spent()
	// The last lines may still be in the pipe, and among them the one that says why.
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
	switch {
	case s.old:
		code, s.reason = ExitDeprecated, ""
	case code == ExitDeprecated && !s.words: // of a program that is no runner, where it means something else
		code = ExitForeign
	}
	gone := claim.Report{Phase: claim.PhaseGone, ExitCode: code, Ran: s.ran}
	if s.config.Memory != nil {
		gone.Memory = s.config.Memory()
	}
	last := ""
	if ownEnd := s.reason == "" || s.again > maxRestarts; ownEnd && (!s.ran || code != 0) {
		printed := s.runner.output.last()
		gone.Output = wordsOf(printed, diagnosis(s.config.Command[0]), claim.MaxOutput)
		last = masked(lastLine(printed))
	}
	if s.reason == "" {
		s.reason = reasonOf(s.runner.program, code, s.ran, last)
	}
	gone.Reason = clip(s.reason)
	return gone
}

// teller reports phases in order, each until it is accepted.
func (s *supervision) teller(ctx context.Context) {
	for r := range s.tell {
		if err := s.client.insist(ctx, r); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("report not taken", "phase", r.Phase, "err", err)
		}
	}
}

// signalName returns the name of a signal that commonly ends a runner.
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

// after is time.After, with 0 for never.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}

// clip shortens a text of another program to what a report may contain.
func clip(reason string) string {
	const most = 900
	return strings.ToValidUTF8(reason[:min(len(reason), most)], "")
}
