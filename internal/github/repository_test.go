package github_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

// repoDoc is a repository of a list, the n-th.
func repoDoc(owner, ownerType string, n int, archived bool) map[string]any {
	return openapi.Minimal("minimal-repository", map[string]any{
		"id": n, "full_name": fmt.Sprintf("%s/r%d", owner, n), "archived": archived,
		"owner": openapi.Minimal("simple-user", map[string]any{"login": owner, "type": ownerType}),
	})
}

func repoDocs(owner, ownerType string, n int) (all []any) {
	for i := range n {
		all = append(all, repoDoc(owner, ownerType, i+1, i == 0))
	}
	return all
}

func names(list []github.Repository) (all []string) {
	for _, r := range list {
		all = append(all, r.Name)
	}
	return all
}

// TestRepositoriesOfAnOrganization: those that were pushed to last each time, and the others in turn.
func TestRepositoriesOfAnOrganization(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"GET /orgs/acme/repos": func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("sort") != "pushed" || q.Get("direction") != "desc" {
			t.Errorf("query %v: want the last pushed first", q)
		}
		paged(func() []any { return repoDocs("acme", "Organization", 250) }, "", nil)(w, r)
	}})
	c := s.client(t)
	for turn, other := range []string{"acme/r101", "acme/r201", "acme/r101"} {
		list, err := c.Repositories(t.Context(), scope(t, "acme"), turn)
		if err != nil {
			t.Fatal(err)
		}
		got := names(list)
		if slices.Contains(got, "acme/r1") || !slices.Contains(got, "acme/r2") || !slices.Contains(got, other) || len(got) > 199 || list[0].Organization != "acme" {
			t.Errorf("turn %d: %d repositories from %+v on: want r2 to r100 and those from %s on, and no archived one", turn, len(got), list[0], other)
		}
	}
	if n := len(s.seen()); n != 6 {
		t.Errorf("%d calls: want two for each look", n)
	}
	if list, err := c.Repositories(t.Context(), scope(t, "acme/web"), 0); err != nil || !slices.Equal(names(list), []string{"acme/web"}) || len(s.seen()) != 6 {
		t.Errorf("of a repository: %v, %v: want itself, without a call", list, err)
	}
}

// TestRepositoriesOfAnApp are those of its installations, of users and of organizations; an enterprise, which has
// no login, is not asked.
func TestRepositoriesOfAnApp(t *testing.T) {
	of := map[string][]any{"token ghs_5": repoDocs("acme", "Organization", 3), "token ghs_6": repoDocs("someone", "User", 2)}
	s := serve(t, map[string]http.HandlerFunc{
		"GET /app/installations": func(w http.ResponseWriter, r *http.Request) {
			var all []any
			for id, login := range map[int]string{5: "acme", 6: "someone", 7: ""} {
				account := openapi.Minimal("enterprise", nil) // the description wants of an account what both have
				maps.Copy(account, openapi.Minimal("simple-user", map[string]any{"login": login}))
				all = append(all, openapi.Minimal("installation", map[string]any{"id": id, "suspended_at": nil, "account": account}))
			}
			reply(w, 200, all)
		},
		"POST /app/installations/5/access_tokens": token("ghs_5"),
		"POST /app/installations/6/access_tokens": token("ghs_6"),
		"GET /installation/repositories": func(w http.ResponseWriter, r *http.Request) {
			mine := of[r.Header.Get("Authorization")]
			for i := range mine {
				mine[i] = openapi.Minimal("repository", mine[i].(map[string]any))
			}
			reply(w, 200, map[string]any{"total_count": len(mine), "repositories": mine})
		},
	})
	list, err := s.client(t, asApp).Repositories(t.Context(), github.AppScope(), 0)
	got := names(list)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"acme/r2", "acme/r3", "someone/r2"}) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, r := range list {
		if (r.Organization == "acme") != (r.Name != "someone/r2") {
			t.Errorf("%+v", r)
		}
	}
}

// TestCallsAreBounded: beyond what its context allows, a call is refused here.
func TestCallsAreBounded(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"GET /orgs/acme/repos": func(w http.ResponseWriter, r *http.Request) {
		paged(func() []any { return repoDocs("acme", "Organization", 250) }, "", nil)(w, r)
	}})
	list, err := s.client(t).Repositories(forge.WithCalls(t.Context(), 1), scope(t, "acme"), 0)
	if !errors.Is(err, forge.ErrSpent) || len(list) != 99 || len(s.seen()) != 1 {
		t.Errorf("%d repositories after %d calls, %v: want the first page, and ErrSpent", len(list), len(s.seen()), err)
	}
}

// TestQueuedJobsOfRunsThatWait: a job is queued in a run that waits as a whole, for the approval of another.
func TestQueuedJobsOfRunsThatWait(t *testing.T) {
	for _, status := range []string{"waiting", "pending", "requested"} {
		s := serve(t, map[string]http.HandlerFunc{
			"GET /repos/acme/web/actions/runs": func(w http.ResponseWriter, r *http.Request) {
				runs := []any{}
				if asked := r.URL.Query().Get("status"); asked == status || asked == "" {
					runs = append(runs, runDoc(7, status, "Organization"), runDoc(8, "completed", "Organization"))
				}
				reply(w, 200, map[string]any{"total_count": len(runs), "workflow_runs": runs})
			},
			"GET /repos/acme/web/actions/runs/7/jobs": func(w http.ResponseWriter, r *http.Request) {
				reply(w, 200, map[string]any{"total_count": 2, "jobs": []any{jobDoc(1, 7, "waiting"), jobDoc(2, 7, "queued")}})
			},
			"GET /repos/acme/web/actions/runs/8/jobs": func(w http.ResponseWriter, r *http.Request) { t.Error("a completed run is looked at") },
		})
		c := s.client(t)
		if jobs, err := c.LatelyQueuedJobs(t.Context(), "acme/web"); err != nil || len(jobs) != 1 || jobs[0].ID != 2 {
			t.Errorf("%s: %v, %v: want job 2", status, jobs, err)
		}
		if jobs, err := c.QueuedJobs(t.Context(), "acme/web"); status != "completed" && (err != nil || len(jobs) != 1) {
			t.Errorf("%s: %v, %v: want job 2", status, jobs, err)
		}
	}
}

// TestRerunOfAnOldRun: a run that is run again keeps its place, which can be beyond the newest hundred.
func TestRerunOfAnOldRun(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/actions/runs": func(w http.ResponseWriter, r *http.Request) {
			runs := []any{}
			if r.URL.Query().Get("status") == "queued" {
				runs = append(runs, runDoc(7, "queued", "Organization"))
			}
			reply(w, 200, map[string]any{"total_count": len(runs), "workflow_runs": runs})
		},
		"GET /repos/acme/web/actions/runs/7/jobs": func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, map[string]any{"total_count": 1, "jobs": []any{jobDoc(2, 7, "queued")}})
		},
	})
	if jobs, err := s.client(t).LatelyQueuedJobs(t.Context(), "acme/web"); err != nil || len(jobs) != 1 || jobs[0].ID != 2 {
		t.Errorf("%v, %v: want job 2", jobs, err)
	}
}
