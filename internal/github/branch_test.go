package github_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestBranchAgainstSim pushes a workflow to a branch of its own, follows its run to the end of
// it, and removes the branch.
func TestBranchAgainstSim(t *testing.T) {
	sim := simulate(t)
	c, ctx := sim.client(t), t.Context()
	const file = ".github/workflows/try.yml"
	files := map[string]string{file: "on: {push: {branches: [try]}}\njobs: {a: {runs-on: linux, steps: [{run: 'true'}]}}\n"}
	if _, err := c.CreateBranch(ctx, "acme/web", "try", "try it", files); !errors.Is(err, github.ErrConflict) {
		t.Errorf("an empty repository: %v, want ErrConflict", err)
	}
	if _, err := sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/other.yml": workflow}}); err != nil {
		t.Fatal(err)
	}
	sha, err := c.CreateBranch(ctx, "acme/web", "try", "try it", files)
	if err != nil || len(sha) != 40 {
		t.Fatalf("%q, %v", sha, err)
	}
	if _, err := c.CreateBranch(ctx, "acme/web", "try", "try it", files); !errors.Is(err, github.ErrUnprocessable) {
		t.Errorf("the branch once more: %v, want ErrUnprocessable", err)
	}
	if has, err := c.HasBranch(ctx, "acme/web", "try"); err != nil || !has {
		t.Errorf("the branch: %v, %v", has, err)
	}
	runs, err := c.RunsOf(ctx, "acme/web", sha)
	if err != nil || len(runs) != 1 || runs[0].Path != file || runs[0].Completed {
		t.Fatalf("%+v, %v: want that of the one file there is on the branch", runs, err)
	}
	jobs, err := c.JobsOf(ctx, "acme/web", runs[0].ID)
	if err != nil || len(jobs) != 1 || jobs[0].Action != "queued" || jobs[0].Labels[0] != "linux" {
		t.Errorf("%+v, %v", jobs, err)
	}
	if text, err := c.JobLog(ctx, "acme/web", jobs[0].ID); err != nil || text != "" {
		t.Errorf("the log of a job that never ran: %q, %v", text, err)
	}
	for range 2 {
		if err := c.CancelRun(ctx, "acme/web", runs[0].ID); err != nil {
			t.Error(err)
		}
	}
	if runs, err := c.RunsOf(ctx, "acme/web", sha); err != nil || !runs[0].Completed || runs[0].Conclusion != "cancelled" {
		t.Errorf("%+v, %v: want it cancelled", runs, err)
	}
	for range 2 {
		if err := c.RemoveBranch(ctx, "acme/web", "try"); err != nil {
			t.Error(err)
		}
	}
	if has, err := c.HasBranch(ctx, "acme/web", "try"); err != nil || has {
		t.Errorf("the branch after its end: %v, %v", has, err)
	}
	if _, err := c.CreateBranch(ctx, "acme/none", "try", "try it", files); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("no repository: %v, want ErrNotFound", err)
	}
}

// TestJobLogElsewhere: no credential goes to the host that has the log.
func TestJobLogElsewhere(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.URL.Query().Get("sig") != "x" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		w.Write([]byte("line\n"))
	}))
	defer store.Close()
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/actions/jobs/1/logs": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, store.URL+"/log?sig=x", http.StatusFound)
		},
		"GET /repos/acme/web/actions/jobs/2/logs": refuse(404, "Not Found"),
	})
	c := s.client(t)
	if text, err := c.JobLog(t.Context(), "acme/web", 1); err != nil || text != "line\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := c.JobLog(t.Context(), "acme/web", 2); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("no log: %v, want ErrNotFound", err)
	}
}
