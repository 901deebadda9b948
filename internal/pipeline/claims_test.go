package pipeline_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
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
