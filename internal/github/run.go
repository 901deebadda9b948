package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// A Run is one run of a workflow.
type Run struct {
	ID         int64
	Path       string // of the workflow's file, such as .github/workflows/ci.yml
	Conclusion string // "" until it is completed
	Completed  bool
	URL        string // its page for a browser
}

// RunsOf returns the runs of repository for a commit, newest first.
// https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
func (c *Client) RunsOf(ctx context.Context, repository, sha string) ([]Run, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	list, err := c.runs(ctx, s, "head_sha="+sha, maxPages)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, len(list))
	for i, r := range list {
		runs[i] = Run{ID: r.ID, Path: r.Path, Conclusion: r.Conclusion, Completed: r.Status == "completed", URL: r.URL}
	}
	return runs, nil
}

// JobsOf returns the jobs of a run's latest attempt. GitHub creates a job only when the jobs that it
// needs are done.
func (c *Client) JobsOf(ctx context.Context, repository string, run int64) ([]event.WorkflowJob, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	return c.jobsOf(ctx, s, workflowRun{ID: run})
}

// CancelRun cancels a run. It returns nil if the run is over or does not exist.
// https://docs.github.com/en/rest/actions/workflow-runs#cancel-a-workflow-run
func (c *Client) CancelRun(ctx context.Context, repository string, run int64) error {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("cancelling run %d of %s", run, s), scope: s,
		method: http.MethodPost, path: fmt.Sprintf("%s/actions/runs/%d/cancel", restPath(s), run),
		priority: housekeeping, needs: `repository permission "Actions" (read and write); for a token, scope repo`,
		kinds: map[int]error{http.StatusConflict: errGone, http.StatusNotFound: errGone},
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// JobLog returns the log of a completed job. GitHub keeps it on another host, which gets no
// credential. The error is [ErrNotFound] until the log is available.
// https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run
func (c *Client) JobLog(ctx context.Context, repository string, id int64) (text string, err error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return "", err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("reading the log of job %d of %s", id, s), scope: s,
		method: http.MethodGet, path: fmt.Sprintf("%s/actions/jobs/%d/logs", restPath(s), id), into: &text, plain: true,
		priority: housekeeping, needs: jobPermission,
	})
	return text, err
}
