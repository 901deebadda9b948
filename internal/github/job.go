package github

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Job returns the job id of repository, an owner/name. Its Organization is empty, because the API
// does not tell. The attempt is ignored: at GitHub each attempt of a job has another id.
// https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
func (c *Client) Job(ctx context.Context, repository string, id int64, _ int) (event.WorkflowJob, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return event.WorkflowJob{}, err
	}
	var raw json.RawMessage
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("reading job %d of %s", id, s), scope: s,
		method: http.MethodGet, path: restPath(s) + "/actions/jobs/" + strconv.FormatInt(id, 10),
		into: &raw, priority: housekeeping, needs: jobPermission,
	})
	if err != nil {
		return event.WorkflowJob{}, err
	}
	return c.newJob(ctx, s, "", raw)
}

const jobPermission = `repository permission "Actions" (read); for a token, scope repo`

// unfinished are the statuses of runs that may have a job that waits for a runner. If any of its jobs waits
// for an approval or for a concurrency group, the whole run is waiting or pending. GitHub lists one status
// at a time.
// https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
var unfinished = []string{"queued", "in_progress", "waiting", "pending", "requested"}

// QueuedJobs returns the jobs of repository that wait for a runner now: the queued ones of all runs
// that are not completed. It costs five calls, and at least one for each such run. With an error it
// returns those that it found before.
func (c *Client) QueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	var all []event.WorkflowJob
	seen := map[int64]bool{} // a run whose status changes meanwhile is in two lists
	for _, status := range unfinished {
		runs, err := c.runs(ctx, s, "status="+status, maxPages)
		if err != nil {
			return all, err
		}
		jobs, err := c.queuedIn(ctx, s, runs, seen)
		if all = append(all, jobs...); err != nil {
			return all, err
		}
	}
	return all, nil
}

// LatelyQueuedJobs is QueuedJobs for the newest hundred runs and for queued runs of any age, because a re-run
// keeps the position of its first attempt in the list. It costs two calls if no run is unfinished. With an
// error it returns those that it found before.
func (c *Client) LatelyQueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	var all []event.WorkflowJob
	seen := map[int64]bool{}
	for _, query := range []string{"exclude_pull_requests=true", "status=queued"} {
		runs, err := c.runs(ctx, s, query, 1)
		if err != nil {
			return all, err
		}
		jobs, err := c.queuedIn(ctx, s, runs, seen)
		if all = append(all, jobs...); err != nil {
			return all, err
		}
	}
	return all, nil
}

// queuedIn returns the queued jobs of runs, without completed and already seen ones.
func (c *Client) queuedIn(ctx context.Context, s Scope, runs []workflowRun, seen map[int64]bool) (all []event.WorkflowJob, err error) {
	for _, run := range runs {
		if seen[run.ID] || run.Status == "completed" {
			continue
		}
		seen[run.ID] = true
		jobs, err := c.jobsOf(ctx, s, run)
		if err != nil {
			return all, err
		}
		for _, job := range jobs {
			if job.Action == event.ActionQueued {
				all = append(all, job)
			}
		}
	}
	return all, nil
}

type workflowRun struct {
	ID         int64
	Status     string
	Conclusion string
	Path       string
	URL        string `json:"html_url"`
	Repository struct {
		Owner struct{ Login, Type string }
	}
}

// organization returns the login of the run's owner, or "" if that is a user.
func (r workflowRun) organization() string {
	if r.Repository.Owner.Type == "Organization" {
		return r.Repository.Owner.Login
	}
	return ""
}

// runs returns the runs that match query, newest first, from at most so many pages.
// https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
func (c *Client) runs(ctx context.Context, s Scope, query string, pages int) (all []workflowRun, err error) {
	r := request{
		doing: fmt.Sprintf("listing the runs of %s with %s", s, query), scope: s,
		method: http.MethodGet, path: restPath(s) + "/actions/runs?" + query,
		priority: housekeeping, needs: jobPermission,
	}
	type page struct {
		Runs []workflowRun `json:"workflow_runs"`
	}
	err = list(ctx, c.do, r, func(p page) bool {
		all = append(all, p.Runs...)
		pages--
		return pages > 0
	})
	return all, err
}

// jobsOf returns the jobs of run's latest attempt.
// https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run
func (c *Client) jobsOf(ctx context.Context, s Scope, run workflowRun) ([]event.WorkflowJob, error) {
	r := request{
		doing: fmt.Sprintf("listing the jobs of run %d of %s", run.ID, s), scope: s,
		method: http.MethodGet, path: fmt.Sprintf("%s/actions/runs/%d/jobs", restPath(s), run.ID),
		priority: housekeeping, needs: jobPermission,
	}
	var raws []json.RawMessage
	type page struct{ Jobs []json.RawMessage }
	err := list(ctx, c.do, r, func(p page) bool {
		raws = append(raws, p.Jobs...)
		return true
	})
	if err != nil {
		return nil, err
	}
	var jobs []event.WorkflowJob
	for _, raw := range raws {
		job, err := c.newJob(ctx, s, run.organization(), raw)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// newJob wraps raw, a job of the API, as a delivery does, so that both are read the same way.
func (c *Client) newJob(ctx context.Context, s Scope, organization string, raw json.RawMessage) (event.WorkflowJob, error) {
	var job struct {
		Status string
		RunURL string `json:"run_url"`
	}
	if err := json.Unmarshal(raw, &job); err != nil {
		return event.WorkflowJob{}, fmt.Errorf("job of %s: %w", s, err)
	}
	payload := map[string]any{
		"action": actionOf(job.Status), "workflow_job": raw, "repository": map[string]string{"full_name": cmp.Or(repositoryIn(job.RunURL), s.String())},
	}
	if organization != "" {
		payload["organization"] = map[string]string{"login": organization}
	}
	cred, err := c.acting(ctx, s)
	if err != nil {
		return event.WorkflowJob{}, err
	}
	if id := cred.id(); id != 0 {
		payload["installation"] = map[string]int64{"id": id}
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return event.WorkflowJob{}, fmt.Errorf("job of %s: %w", s, err)
	}
	return event.ParseWorkflowJob(data)
}

// actionOf returns the action of the delivery that reported status. An unknown status counts as
// waiting, so that no runner starts for it yet.
func actionOf(status string) string { return cmp.Or(event.StateOf(status), event.ActionWaiting) }

// repositoryIn returns the owner/name in the API's address of a run, or "". It is the current name, even if
// the run was listed by a former one.
func repositoryIn(runURL string) string {
	_, path, _ := strings.Cut(runURL, "/repos/")
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[2] != "actions" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}
