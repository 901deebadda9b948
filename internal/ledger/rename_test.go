package ledger_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestRenamedRepository: a job is known by GitHub's id, whatever its repository is called by now.
func TestRenamedRepository(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	s.is(ledger.Starting{Runner: "i-small-1-1-1"})
	s.is(queued(1, "repository=acme/site", "started=1m"))
	if r := s.runner("i-small-1-1-1", ledger.RunnerStarting); r.Scope.Repository != "acme/site" {
		t.Errorf("it is to be registered at %s: want the new name", r.Scope.Repository)
	}
	for _, in := range []ledger.Input{ledger.Claim{Runner: "i-small-1-1-1"}, ledger.Registered{Runner: "i-small-1-1-1", GitHubID: 9}, ledger.Idle{Runner: "i-small-1-1-1"}} {
		s.is(in)
	}
	s.is(running(1, "repository=elsewhere/site", "on=i-small-1-1-1"))
	if r := s.runner("i-small-1-1-1", ledger.RunnerBusy); r.Runs != ledger.NewJobKey("acme/web", 1, 1) {
		t.Errorf("it runs %s: want the job as it was first known", r.Runs)
	}
	s.is(done(1, "repository=elsewhere/site", "on=i-small-1-1-1", "conclusion=success"))
	s.is(ledger.Gone{Runner: "i-small-1-1-1"})
	j := s.job(1, ledger.JobCompleted)
	if j.Scope.Repository != "elsewhere/site" || j.Conclusion != "success" {
		t.Errorf("%+v", j)
	}
	jobs := 0
	for range s.state.Jobs() {
		jobs++
	}
	if jobs != 1 {
		t.Errorf("%d jobs: want one", jobs)
	}
}

// TestCompletedUnderNewName while the runner waits to claim: it goes.
func TestCompletedUnderNewName(t *testing.T) {
	s := tell(t, atOrganization(twoPools()))
	s.is(queued(1), "+i-small-1-1-1")
	s.is(ledger.Starting{Runner: "i-small-1-1-1"})
	s.is(done(1, "repository=acme/site", "conclusion=cancelled"), "-i-small-1-1-1")
	s.job(1, ledger.JobCompleted)
	s.is(queued(2, "repository=acme/other"), "+i-small-2-1-1") // another job is another
}
