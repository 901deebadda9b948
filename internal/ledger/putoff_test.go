package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A line is a state on which inputs come one after another.
type line struct {
	*testing.T
	*ledger.State
	now time.Time
}

func newLine(t *testing.T, l ledger.Limits) *line {
	if l.Pools == nil {
		l.Pools = pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}
	}
	return &line{T: t, State: ledger.NewState("i", l), now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
}

// is applies in, and returns the runners that are wanted now.
func (l *line) is(in ledger.Input) (result ledger.Result, wanted []ledger.RunnerName) {
	l.Helper()
	result = l.Apply(in, l.now)
	for _, e := range result.Effects {
		if want, ok := e.(ledger.WantRunner); ok {
			wanted = append(wanted, want.Runner)
		}
	}
	if faults := l.Invariants(l.now); faults != nil {
		l.Errorf("after %T: %v", in, faults)
	}
	return result, wanted
}

func (l *line) queue(id, installation int64) []ledger.RunnerName {
	l.Helper()
	_, wanted := l.is(ledger.JobSeen{At: l.now, Job: event.WorkflowJob{
		Action: event.ActionQueued, Repository: "acme/web", Installation: installation, ID: id, Attempt: 1, Labels: []string{"linux"}, Created: l.now,
	}})
	return wanted
}

func (l *line) job(id int64) ledger.Job {
	l.Helper()
	j, ok := l.Job(ledger.NewJobKey("acme/web", id, 1))
	if !ok {
		l.Fatalf("no job %d", id)
	}
	return j
}

// TestRateLimitHoldsAnInstallation: while GitHub limits calls, a claim is answered without asking GitHub, and no
// runner is made, whatever becomes of the one that met the limit. Another installation has limits of its own.
func TestRateLimitHoldsAnInstallation(t *testing.T) {
	l := newLine(t, ledger.Limits{})
	a, b := l.queue(1, 7)[0], l.queue(2, 7)[0]
	for _, name := range []ledger.RunnerName{a, b} {
		l.is(ledger.Starting{Runner: name})
		l.is(ledger.Started{Runner: name})
	}
	claim, _ := l.is(ledger.Claim{Runner: a})
	l.is(ledger.PutOff{Runner: a, Granted: claim.Runner.Claimed, After: 20 * time.Minute})
	if r, _ := l.is(ledger.Claim{Runner: b}); r.Granted || r.RetryAfter != 20*time.Minute {
		t.Errorf("another claim: granted %t, again in %v: want it put off, too", r.Granted, r.RetryAfter)
	}
	if wanted := l.queue(3, 7); wanted != nil {
		t.Errorf("runners made while GitHub limits calls: %v", wanted)
	}
	if why := l.Why(l.job(3), l.now).Text; !strings.HasPrefix(why, "GitHub limits calls: the next runner starts in 20m") {
		t.Errorf("why: %s", why)
	}
	other := l.queue(4, 8)
	if len(other) != 1 {
		t.Fatalf("runners of another installation: %v: want one", other)
	}
	l.is(ledger.Starting{Runner: other[0]})
	l.is(ledger.Gone{Runner: other[0], Reason: "its work is done", Outside: true})
	l.is(ledger.JobLost{Job: ledger.NewJobKey("acme/web", 4, 1)})
	l.now = l.now.Add(19 * time.Minute)
	if _, wanted := l.is(ledger.Gone{Runner: a, ExitCode: 1}); wanted != nil {
		t.Errorf("runners made after the container gave up: %v", wanted)
	}
	if _, wanted := l.is(ledger.Tick{}); wanted != nil {
		t.Errorf("runners made a minute too soon: %v", wanted)
	}
	if r, ok := l.Runner(b); !ok || r.Leaving != "" || r.State != ledger.RunnerStarting {
		t.Errorf("the runner that waits is %s, %s: want it to wait", r.State, r.Leaving)
	}
	l.now = l.now.Add(time.Minute)
	if r, _ := l.is(ledger.Claim{Runner: b}); !r.Granted {
		t.Errorf("after the limit the claim is refused: %s", r.Reason)
	}
	live := 0
	for r := range l.Runners() {
		if r.Live() {
			live++
		}
	}
	if live != 3 {
		t.Errorf("%d runners live: want one for each of three jobs", live)
	}
}

// TestCredentialWorksAgain: jobs that wait because of the credential get runners as soon as it works, and no others do.
func TestCredentialWorksAgain(t *testing.T) {
	l := newLine(t, ledger.Limits{})
	refuse := func(id int64, unauthorized bool) {
		name := l.queue(id, 7)[0]
		l.is(ledger.Starting{Runner: name})
		l.is(ledger.Claim{Runner: name})
		l.is(ledger.Failed{Runner: name, Reason: "401", Refused: true, Unauthorized: unauthorized})
		l.is(ledger.Gone{Runner: name})
	}
	refuse(1, true)
	refuse(2, false)
	if _, wanted := l.is(ledger.Tick{}); wanted != nil {
		t.Fatalf("wanted at once: %v", wanted)
	}
	_, wanted := l.is(ledger.Authorized{})
	if len(wanted) != 1 || l.job(1).Refused != 0 || l.job(2).Refused != 1 {
		t.Errorf("wanted %v, refused %d and %d: want one runner, for the first job", wanted, l.job(1).Refused, l.job(2).Refused)
	}
	if _, wanted := l.is(ledger.Authorized{}); wanted != nil {
		t.Errorf("wanted again: %v", wanted)
	}
}

// TestHosts: no more runners are made than hosts take, and a job that found no host waits for minutes.
func TestHosts(t *testing.T) {
	small := pool.Pool{Name: "small", Labels: []string{"linux"}, Resources: pool.Resources{CPUs: 1, Memory: 3 << 30}}.WithDefaults()
	l := newLine(t, ledger.Limits{Pools: pool.Set{small}, Hosts: []pool.Hosts{{Pools: []string{"small"}, Max: 2, Each: pool.Resources{CPUs: 2, Memory: 7 << 30}}}, Launch: time.Hour})
	var wanted []ledger.RunnerName
	for id := range int64(10) {
		wanted = append(wanted, l.queue(id+1, 7)...)
	}
	if len(wanted) != 4 {
		t.Fatalf("%d runners: want four, as many as two hosts take", len(wanted))
	}
	if why := l.Why(l.job(9), l.now).Text; !strings.HasPrefix(why, "hosts are full: all 2 that may run") {
		t.Errorf("why: %s", why)
	}
	for i, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		name := ledger.RunnerName(strings.TrimSuffix(string(wanted[0]), "1")) + ledger.RunnerName('1'+rune(i))
		l.is(ledger.Starting{Runner: name})
		l.is(ledger.Gone{Runner: name, Reason: "not started: no room", Unplaced: true, Outside: true})
		if got := l.job(1).NotBefore.Sub(l.now); got != wait {
			t.Errorf("after %d times without a place the job waits for %v: want %v", i+1, got, wait)
		}
		for id := range int64(6) { // what took the place that came free
			l.is(ledger.JobLost{Job: ledger.NewJobKey("acme/web", id+5, 1)})
		}
		l.now = l.now.Add(wait)
		l.is(ledger.Tick{})
	}
}
