package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

func jobDoc(id, run int, status string) map[string]any {
	return openapi.Minimal("job", map[string]any{
		"id": id, "run_id": run, "run_attempt": 2, "name": "build", "workflow_name": "CI", "status": status,
		"labels": []any{"linux", "gpu"}, "html_url": "https://github.com/acme/web/job/1", "completed_at": nil, "conclusion": nil,
	})
}

func runDoc(id int, status, ownerType string) map[string]any {
	owner := openapi.Minimal("simple-user", map[string]any{"login": "acme", "type": ownerType})
	return openapi.Minimal("workflow-run", map[string]any{
		"id": id, "status": status, "repository": openapi.Minimal("minimal-repository", map[string]any{"owner": owner}),
	})
}

// TestJobOfRenamedRepository: GitHub sends who asks by the old name on, to /repositories/ID/actions/jobs/1, which its
// description does not have. The job there tells the new one.
func TestJobOfRenamedRepository(t *testing.T) {
	doc := jobDoc(1, 7, "queued")
	doc["run_url"] = "https://api.github.com/repos/acme/site/actions/runs/7"
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/actions/jobs/1": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/api/v3/repos/acme/site/actions/jobs/1", http.StatusMovedPermanently)
		},
		"GET /repos/acme/site/actions/jobs/1": func(w http.ResponseWriter, r *http.Request) { reply(w, 200, doc) },
	})
	job, err := s.client(t).Job(t.Context(), "acme/web", 1, 1)
	if err != nil || job.Repository != "acme/site" {
		t.Errorf("%s, %v: want the new name", job.Repository, err)
	}
}

func TestJob(t *testing.T) {
	done := jobDoc(2, 7, "completed")
	done["conclusion"], done["completed_at"], done["runner_id"], done["runner_name"] = "failure", "2026-01-31T12:05:00Z", 42, "r42"
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/actions/jobs/1": func(w http.ResponseWriter, r *http.Request) { reply(w, 200, jobDoc(1, 7, "queued")) },
		"GET /repos/acme/web/actions/jobs/2": func(w http.ResponseWriter, r *http.Request) { reply(w, 200, done) },
		"GET /repos/acme/web/actions/jobs/3": func(w http.ResponseWriter, r *http.Request) { reply(w, 200, jobDoc(3, 7, "pending")) },
		"GET /repos/acme/web/actions/jobs/4": refuse(404, "Not Found"),
	})
	c := s.client(t)
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	queued := event.WorkflowJob{
		Action: "queued", Status: "queued", Repository: "acme/web", ID: 1, RunID: 7, Attempt: 2, Name: "build", Workflow: "CI",
		Labels: []string{"linux", "gpu"}, URL: "https://github.com/acme/web/job/1", Created: noon, Started: noon,
	}
	failed := queued
	failed.Status = "completed"
	failed.ID, failed.Action, failed.Conclusion, failed.RunnerID, failed.RunnerName = 2, "completed", "failure", 42, "r42"
	failed.Completed = noon.Add(5 * time.Minute)
	waiting := queued
	waiting.ID, waiting.Action, waiting.Status = 3, "waiting", "pending"
	for _, want := range []event.WorkflowJob{queued, failed, waiting} {
		got, err := c.Job(t.Context(), "acme/web", want.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("job %d (-want +got):\n%s", want.ID, diff)
		}
	}
	if _, err := c.Job(t.Context(), "acme/web", 4, 1); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if _, err := c.Job(t.Context(), "acme", 1, 1); err == nil {
		t.Error("an organisation has no jobs: want an error")
	}
}

// TestQueuedJobs has 120 runs in the queue, one of them in both lists, and one
// run with 150 jobs.
func TestQueuedJobs(t *testing.T) {
	routes := map[string]http.HandlerFunc{}
	var queued []any
	for id := 1; id <= 120; id++ {
		queued = append(queued, runDoc(id, "queued", "Organization"))
		routes[fmt.Sprintf("GET /repos/acme/web/actions/runs/%d/jobs", id)] =
			paged(func() []any { return []any{jobDoc(1000+id, id, "queued"), jobDoc(2000+id, id, "waiting")} }, "jobs", nil)
	}
	started := []any{queued[0], runDoc(500, "in_progress", "Organization")}
	routes["GET /repos/acme/web/actions/runs/500/jobs"] = paged(func() []any {
		all := []any{jobDoc(1, 500, "in_progress"), jobDoc(2, 500, "completed")}
		for id := range 148 {
			all = append(all, jobDoc(5000+id, 500, "queued"))
		}
		return all
	}, "jobs", nil)
	routes["GET /repos/acme/web/actions/runs"] = func(w http.ResponseWriter, r *http.Request) {
		paged(func() []any {
			if r.URL.Query().Get("status") == "queued" {
				return queued
			}
			return started
		}, "workflow_runs", nil)(w, r)
	}
	s := serve(t, routes)
	all, err := s.client(t).QueuedJobs(t.Context(), "acme/web")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 120+148 {
		t.Errorf("%d jobs, want %d", len(all), 120+148)
	}
	seen := map[int64]bool{}
	for _, j := range all {
		if seen[j.ID] || j.Action != "queued" || j.Organization != "acme" {
			t.Errorf("job %d: %+v: want each once, queued, of the organisation", j.ID, j)
		}
		seen[j.ID] = true
	}
}

func TestJobsOfAUserAndAnApp(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/installation":        installed(5),
		"POST /app/installations/5/access_tokens": token("ghs_5"),
		"GET /repos/acme/web/actions/runs": func(w http.ResponseWriter, r *http.Request) {
			runs := []any{}
			if r.URL.Query().Get("status") == "queued" {
				runs = append(runs, runDoc(1, "queued", "User"))
			}
			reply(w, 200, map[string]any{"total_count": len(runs), "workflow_runs": runs})
		},
		"GET /repos/acme/web/actions/runs/1/jobs": func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, map[string]any{"total_count": 1, "jobs": []any{jobDoc(1, 1, "queued")}})
		},
	})
	all, err := s.client(t, asApp).QueuedJobs(t.Context(), "acme/web")
	if err != nil || len(all) != 1 || all[0].Organization != "" || all[0].Installation != 5 {
		t.Errorf("%+v, %v, want one job, no organisation, installation 5", all, err)
	}
}
