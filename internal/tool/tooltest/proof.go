package tooltest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// NoBranch fails t if repository has branch, the one of a mayfly test, or if a run of it does not
// end soon. c is a client's configuration for sim.
func NoBranch(t testing.TB, c github.Config, sim *githubsim.Sim, repository, branch string) {
	t.Helper()
	forge, err := github.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if has, err := forge.HasBranch(t.Context(), repository, branch); err != nil || has {
		t.Errorf("branch %s exists: %v, %v", branch, has, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	over := func([]githubsim.Job) bool { // the runner of a running job has to cancel it first
		return !slices.ContainsFunc(sim.Runs(), func(r githubsim.Run) bool {
			return r.Ref == "refs/heads/"+branch && r.Status != githubsim.StatusCompleted
		})
	}
	if err := sim.Wait(ctx, over); err != nil {
		t.Errorf("a run did not end: %+v", sim.Runs())
	}
}
