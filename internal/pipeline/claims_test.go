package pipeline_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestClaimAfterRestart: a claim that GitHub put off is granted to the same runner by the next
// process, and only until the runner is registered.
func TestClaimAfterRestart(t *testing.T) {
	s := open(t)
	runner := s.queue(t)
	ask := func() int { // each time a process that has never heard of the runner
		handler := claim.Handler(claim.Config{Ledger: s.ClaimLedger(""), Forge: s.ClaimForge(), Log: slog.New(slog.DiscardHandler)}, string(runner))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, claim.PathClaim, strings.NewReader("{}")))
		return answer.Code
	}
	id, err := s.sim.Faults().Add(fault.Rule{Status: http.StatusBadGateway, Path: "/repos/*/*/actions/runners/generate-jitconfig"})
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("while GitHub fails: %d, want %d", code, http.StatusServiceUnavailable)
	}
	s.sim.Faults().Remove(id)
	for _, want := range []int{http.StatusOK, http.StatusForbidden} {
		code := ask()
		for code == http.StatusServiceUnavailable { // it is put off for a millisecond
			code = ask()
		}
		if code != want {
			t.Errorf("after a restart: %d, want %d", code, want)
		}
	}
	if made := s.sim.Runners(); len(made) != 1 {
		t.Errorf("registrations %v: want one", made)
	}
}

// TestLastWords: what an agent says of its runner's end is in the ledger before the end is seen, by whatever
// process then runs; a job that was run needs no words.
func TestLastWords(t *testing.T) {
	for name, test := range map[string]struct {
		report claim.Report
		gone   ledger.Gone
		want   string
	}{
		"it says why":               {claim.Report{Reason: "idle limit"}, ledger.Gone{Reason: "killed from outside"}, "idle limit"},
		"it ran a job":              {claim.Report{Reason: "job done", Ran: true}, ledger.Gone{}, "its program ended"},
		"it ran a job and failed":   {claim.Report{Reason: "killed by signal 9", Ran: true, ExitCode: 137}, ledger.Gone{ExitCode: 137}, "killed by signal 9 (exit code 137)"},
		"it had no time to say why": {claim.Report{}, ledger.Gone{Reason: "out of memory", ExitCode: 137}, "out of memory (exit code 137)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			runner := s.queue(t)
			s.register(t, runner)
			test.report.Phase = claim.PhaseGone
			if err := s.ClaimLedger("").Report(t.Context(), string(runner), test.report); err != nil {
				t.Fatal(err)
			}
			test.gone.Runner = runner
			s.tell(t, test.gone)
			list, err := s.Ledger.Runners(t.Context(), ledger.RunnerQuery{Name: runner})
			if err != nil || list[0].Reason != test.want {
				t.Errorf("gone for %q, %v: want %q", list[0].Reason, err, test.want)
			}
		})
	}
}
