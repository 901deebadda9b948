package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// A bench is a supervised runner that a test plays, in time that the test owns.
type bench struct {
	*testing.T
	begin   time.Time
	process *process
	cancel  context.CancelFunc
	answers []int // statuses for reports that the runner wants to leave; 204 after those
	gone    chan claim.Report

	mu  sync.Mutex
	log []string // guarded by mu
}

// note adds a line to the log: what happened, and when.
func (b *bench) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf("%s "+format, append([]any{time.Since(b.begin)}, args...)...))
}

// RoundTrip answers reports, as the claim socket does.
func (b *bench) RoundTrip(r *http.Request) (*http.Response, error) {
	var report claim.Report
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		b.Error(err)
	}
	status := http.StatusNoContent
	if report.Phase == claim.PhaseLeaving && len(b.answers) > 0 {
		status, b.answers = b.answers[0], b.answers[1:]
	}
	b.note("%s: %d", report.Phase, status)
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("{}")), Header: http.Header{}}, nil
}

// supervised runs play beside a supervision with an idle limit of 10 s, a total limit of 1 h and a grace of 5 s.
func supervised(t *testing.T, answers []int, play func(b *bench)) (claim.Report, []string) {
	var report claim.Report
	var log []string
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := &bench{T: t, begin: time.Now(), cancel: cancel, answers: answers, gone: make(chan claim.Report, 1)}
		b.process = &process{
			signal: func(s syscall.Signal) { b.note("%s", signalName(s)) },
			ended:  make(chan syscall.WaitStatus, 1), phases: make(chan string), program: actionsRunner{}, spent: func() {},
		}
		c := Config{Command: []string{"run.sh"}, Grace: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
		grant := claim.Grant{IdleLimit: 10 * time.Second, TotalLimit: time.Hour}
		go func() {
			b.gone <- supervise(ctx, c, newClient(Channel{URL: "http://claim", Transport: b}), b.process, grant)
		}()
		play(b)
		report, log = <-b.gone, b.log
	})
	return report, log
}

// phase has the runner print what tells of a phase.
func (b *bench) phase(name string) {
	b.process.phases <- name
	synctest.Wait()
}

// wait lets d go by.
func (b *bench) wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

// exit ends the runner with code.
func (b *bench) exit(code int) {
	close(b.process.phases)
	b.process.ended <- syscall.WaitStatus(code << 8)
}

func TestSupervise(t *testing.T) {
	for name, test := range map[string]struct {
		answers []int
		play    func(b *bench)
		want    claim.Report
		log     []string
	}{
		"one job": {nil, func(b *bench) {
			b.phase(claim.PhaseIdle)
			b.wait(9 * time.Second)
			b.phase(claim.PhaseBusy)
			b.wait(time.Minute) // a busy runner has no idle limit
			b.exit(0)
		}, claim.Report{ExitCode: 0, Reason: "job done", Ran: true}, []string{"0s idle: 204", "9s busy: 204", "1m9s SIGKILL"}},
		"idle limit": {nil, func(b *bench) {
			b.phase(claim.PhaseIdle)
			b.wait(11 * time.Second)
			b.exit(0)
		}, claim.Report{Reason: "idle limit"}, []string{"0s idle: 204", "10s leaving: 204", "10s SIGTERM", "11s SIGKILL"}},
		"idle limit, and GitHub has just given it a job": {[]int{http.StatusConflict}, func(b *bench) {
			b.wait(11 * time.Second)
			b.phase(claim.PhaseBusy)
			b.wait(time.Minute)
			b.exit(0)
		}, claim.Report{Reason: "job done", Ran: true}, []string{"10s leaving: 409", "11s busy: 204", "1m11s SIGKILL"}},
		"idle limit, and the job never comes": {[]int{http.StatusConflict}, func(b *bench) {
			b.wait(21 * time.Second)
			b.exit(0)
		}, claim.Report{Reason: "idle limit"}, []string{"10s leaving: 409", "20s leaving: 204", "20s SIGTERM", "21s SIGKILL"}},
		"idle limit while Mayfly is away": {[]int{http.StatusServiceUnavailable}, func(b *bench) {
			b.wait(13 * time.Second)
			b.exit(0)
		}, claim.Report{Reason: "idle limit"}, []string{"10s leaving: 503", "12s leaving: 204", "12s SIGTERM", "13s SIGKILL"}},
		"total limit, with a job that does not end": {nil, func(b *bench) {
			b.phase(claim.PhaseBusy)
			b.wait(time.Hour + 6*time.Second)
			b.exit(1)
		}, claim.Report{ExitCode: 1, Reason: "total limit", Ran: true}, []string{"0s busy: 204", "1h0m0s SIGTERM", "1h0m5s SIGKILL", "1h0m6s SIGKILL"}},
		"told to leave": {nil, func(b *bench) {
			b.cancel()
			b.wait(time.Second)
			b.exit(0)
		}, claim.Report{Reason: "terminated"}, []string{"0s SIGTERM", "1s SIGKILL"}},
		"an update is not idle": {nil, func(b *bench) {
			b.phase(claim.PhaseIdle)
			b.wait(5 * time.Second)
			b.phase(claim.PhaseRestarting)
			b.wait(time.Minute)
			b.phase(claim.PhaseIdle)
			b.wait(11 * time.Second) // from here on it counts again
			b.exit(0)
		}, claim.Report{Reason: "idle limit"}, []string{"0s idle: 204", "5s restarting: 204", "1m5s idle: 204", "1m15s leaving: 204", "1m15s SIGTERM", "1m16s SIGKILL"}},
		"version refused": {nil, func(b *bench) {
			b.phase(phaseDeprecated)
			b.exit(1)
		}, claim.Report{ExitCode: ExitDeprecated, Reason: "runner version deprecated: GitHub no longer takes it"}, []string{"0s SIGKILL"}},
		"killed": {nil, func(b *bench) {
			close(b.process.phases)
			b.process.ended <- syscall.WaitStatus(syscall.SIGKILL)
		}, claim.Report{ExitCode: 137, Reason: "killed by SIGKILL"}, []string{"0s SIGKILL"}},
		"its output is held open by what it left running": {nil, func(b *bench) {
			b.phase(claim.PhaseBusy)
			b.process.ended <- 0
		}, claim.Report{Reason: "job done", Ran: true}, []string{"0s busy: 204", "0s SIGKILL"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, log := supervised(t, test.answers, test.play)
			test.want.Phase = claim.PhaseGone
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.log, log); diff != "" {
				t.Errorf("what happened (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRestartsForever: a runner that only ever restarts is stopped.
func TestRestartsForever(t *testing.T) {
	got, log := supervised(t, nil, func(b *bench) {
		for range maxRestarts + 1 {
			b.phase(claim.PhaseIdle)
			b.phase(claim.PhaseRestarting)
		}
		b.exit(0)
	})
	if want := "restarted 13 times without a job"; got.Reason != want || !slices.Contains(log, "0s SIGTERM") {
		t.Errorf("reason %q after %v: want %q after a SIGTERM", got.Reason, log, want)
	}
}
