package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// runnersOf lets a job wait for a day, in which each of its runners ends as end has it, and returns when
// each was wanted.
func (s *story) runnersOf(id int64, end func(name ledger.RunnerName)) (wanted []time.Duration) {
	for step := 0; step < 24*60; step++ {
		for _, e := range s.state.Apply(ledger.Tick{}, s.now).Effects {
			if w, ok := e.(ledger.WantRunner); ok && w.Job.ID == id {
				wanted = append(wanted, s.now.Sub(start))
				end(w.Runner)
			}
		}
		s.now = s.now.Add(time.Minute)
	}
	return wanted
}

// TestOutsideTheGroup: GitHub gives no runner the job, since it is for another runner group. There are few, ever less often, and
// the reason is told.
func TestOutsideTheGroup(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	idle := func(name ledger.RunnerName) {
		for _, in := range []ledger.Input{ledger.Starting{Runner: name}, ledger.Started{Runner: name}, ledger.Claim{Runner: name}, ledger.Registered{Runner: name, GitHubID: 9}, ledger.Idle{Runner: name}} {
			s.state.Apply(in, s.now)
		}
		s.now = s.now.Add(5 * time.Minute)
		s.state.Apply(ledger.Gone{Runner: name, Reason: "idle limit"}, s.now)
	}
	idle("i-small-1-1-1")
	s.why(1, "the next runner starts in 1m0s; GitHub has not given 1 runner this job: check its runner group (runs-on.group) against runner_group of pool small, and the group's repositories")
	s.is(ledger.Tick{}, "?1") // it may wait for an approval
	wanted := s.runnersOf(1, idle)
	if n := len(wanted); n < 10 || n > 20 {
		t.Errorf("%d runners in a day: want some, ever less often: %v", n, wanted)
	}
	s.is(asked(running(1, "on=i-small-1-1-1"), s.now))
	s.why(1, "running on i-small-1-1-1, which is gone: GitHub has not said how the job ended")
}

// TestRepositoryOutOfSight: GitHub refuses each registration, as where the App is not installed.
func TestRepositoryOutOfSight(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	refuse := func(name ledger.RunnerName) {
		s.state.Apply(ledger.Starting{Runner: name}, s.now)
		s.state.Apply(ledger.Claim{Runner: name}, s.now)
		s.state.Apply(ledger.Failed{Runner: name, Reason: "not there, or not for this credential (404)", Refused: true}, s.now)
		s.state.Apply(ledger.Gone{Runner: name, Reason: "claim refused: not there, or not for this credential (404)", ExitCode: 77}, s.now)
	}
	refuse("i-small-1-1-1")
	s.why(1, "the next runner starts in 1m0s; 1 runner failed: not there, or not for this credential (404) (exit code 77)") // once
	if wanted := s.runnersOf(1, refuse); len(wanted) < 10 || len(wanted) > 20 {
		t.Errorf("%d runners in a day: want some, ever less often: %v", len(wanted), wanted)
	}
}

// TestGrowingPausesEnd when the job is queued anew.
func TestGrowingPausesEnd(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	for n := range 4 {
		name := ledger.RunnerName(fmt.Sprintf("i-small-1-1-%d", n+1))
		s.up(name)
		s.now = s.now.Add(5 * time.Minute)
		s.state.Apply(ledger.Gone{Runner: name, Reason: "idle limit"}, s.now)
		s.now = s.now.Add(time.Hour)
		s.state.Apply(ledger.Tick{}, s.now)
	}
	if j := s.job(1, ledger.JobQueued); j.Ignored != 4 {
		t.Fatalf("%+v: want 4 that were ignored", j)
	}
	s.is(about(1, "waiting", "started=12h"))
	s.is(queued(1, "started=13h"), "+i-small-1-1-6")
	s.job(1, ledger.JobQueued)
}
