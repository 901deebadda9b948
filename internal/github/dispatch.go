package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

const dispatchPermission = `repository permission "Actions" (read and write); for a token, scope repo`

// Dispatch starts the workflow in file, such as canary.yml, on repository's default branch,
// with inputs. GitHub creates the run some seconds later.
// https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event
func (c *Client) Dispatch(ctx context.Context, repository, file string, inputs map[string]string) error {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return err
	}
	var about struct {
		DefaultBranch string `json:"default_branch"`
	}
	if _, err := c.do(ctx, request{
		doing: "reading about " + s.String(), scope: s, method: http.MethodGet, path: restPath(s), into: &about,
		priority: housekeeping, needs: dispatchPermission,
	}); err != nil {
		return err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("starting workflow %s of %s", file, s), scope: s,
		method: http.MethodPost, path: restPath(s) + "/actions/workflows/" + url.PathEscape(file) + "/dispatches",
		body:     map[string]any{"ref": about.DefaultBranch, "inputs": inputs},
		priority: housekeeping, needs: dispatchPermission,
	})
	return err
}

// recentRuns is how many of the newest runs are searched for a job.
const recentRuns = 20

// JobFor returns the job whose runs-on has label, from repository's newest dispatched runs. The
// error is [ErrNotFound] if there is none, perhaps only not yet.
func (c *Client) JobFor(ctx context.Context, repository, label string) (event.WorkflowJob, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return event.WorkflowJob{}, err
	}
	doing := fmt.Sprintf("finding the job for label %q in %s", label, s)
	var runs struct {
		Runs []workflowRun `json:"workflow_runs"`
	}
	if _, err := c.do(ctx, request{
		doing: doing, scope: s, method: http.MethodGet, into: &runs, priority: housekeeping, needs: jobPermission,
		path: fmt.Sprintf("%s/actions/runs?event=workflow_dispatch&per_page=%d", restPath(s), recentRuns),
	}); err != nil {
		return event.WorkflowJob{}, err
	}
	for _, run := range runs.Runs {
		jobs, err := c.jobsOf(ctx, s, run)
		if err != nil {
			return event.WorkflowJob{}, err
		}
		for _, job := range jobs {
			if slices.ContainsFunc(job.Labels, func(l string) bool { return strings.EqualFold(l, label) }) {
				return job, nil
			}
		}
	}
	return event.WorkflowJob{}, &Error{Doing: doing, Kind: ErrNotFound}
}
