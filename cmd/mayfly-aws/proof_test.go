package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/proof"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// provesDelivery runs mayfly test with a stack whose functions nobody runs: it reads the stack and
// GitHub, and finds that no delivery came that far.
func (w *cloudWorld) provesDelivery(t *testing.T) {
	t.Helper()
	w.push(t, map[string]string{"README": "hello"})
	out, errs, code := w.run(t, nil, "test", worldRepository, "--branch", "try", "--patience", "1s", "--json")
	var v proof.Report
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if len(v.Jobs) != 4 || v.Broken == nil || v.Broken.Name != "delivery" || !strings.Contains(v.Broken.What, "of the webhook of acme/web none failed") {
		t.Errorf("%+v, %+v: want that none came and none failed", v, v.Broken)
	}
	w.noBranch(t)
}

// noBranch fails t if the test's branch is there, or a run of it goes on.
func (w *cloudWorld) noBranch(t *testing.T) {
	t.Helper()
	forge, err := github.New(github.Config{URL: w.simURL, Token: secret.New(w.token)})
	if err != nil {
		t.Fatal(err)
	}
	if has, err := forge.HasBranch(t.Context(), worldRepository, "try"); err != nil || has {
		t.Errorf("the branch is there: %v, %v", has, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	over := func([]githubsim.Job) bool { // a job that runs is cancelled by its runner
		return !slices.ContainsFunc(w.sim.Runs(), func(r githubsim.Run) bool {
			return r.Ref == "refs/heads/try" && r.Status != githubsim.StatusCompleted
		})
	}
	if err := w.sim.Wait(ctx, over); err != nil {
		t.Errorf("a run goes on: %+v", w.sim.Runs())
	}
}
