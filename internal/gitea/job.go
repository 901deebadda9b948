package gitea

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Source is that of events of Gitea's deliveries.
const Source = "gitea"

// An apiJob is what is read of a job beside what [event.ParseWorkflowJob] reads.
type apiJob struct {
	Status   string
	RunURL   string `json:"run_url"`
	RunnerID int64  `json:"runner_id"`
	Attempt  int64  `json:"run_attempt"`
	Labels   []string

	raw json.RawMessage
}

// Read implements forge.Forge: the attempt of a job is counted as GitHub does. Gitea counts one
// more when a runner takes the job (models/actions/task.go, CreateTaskForRunner), and forgets
// the runner when the job is to run again, so that a job without a runner is at its next attempt.
func (c *Client) Read(delivery event.Event) (event.Event, error) {
	delivery.Source = Source
	if delivery.DetailType != event.TypeWorkflowJob {
		return delivery, nil
	}
	var payload struct {
		Job json.RawMessage `json:"workflow_job"`
	}
	if err := json.Unmarshal(delivery.Detail, &payload); err != nil {
		return delivery, fmt.Errorf("workflow_job payload: %w", err)
	}
	counted, job, err := countAttempt(payload.Job)
	if err != nil {
		return delivery, err
	}
	c.spellings.add(job.Labels)
	if counted == nil {
		return delivery, nil
	}
	delivery.Detail, err = withMember(delivery.Detail, "workflow_job", counted)
	return delivery, err
}

// countAttempt returns a job with the attempt as GitHub counts it; nil when that is no other.
func countAttempt(raw json.RawMessage) (counted json.RawMessage, job apiJob, err error) {
	if err := json.Unmarshal(raw, &job); err != nil {
		return nil, job, fmt.Errorf("workflow_job payload: workflow_job: %w", err)
	}
	if job.RunnerID != 0 {
		return nil, job, nil
	}
	counted, err = withMember(raw, "run_attempt", json.RawMessage(fmt.Sprint(job.Attempt+1)))
	return counted, job, err
}

// withMember returns object with a member in place of that of the same name.
func withMember(object json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil || members == nil {
		return nil, fmt.Errorf("workflow_job payload: want an object with %s in it", name)
	}
	members[name] = value
	return json.Marshal(members)
}

// Job implements forge.Forge. A job keeps its id when it is run again, and of attempts before
// that nothing is known any more.
func (c *Client) Job(ctx context.Context, repository string, id int64, attempt int) (event.WorkflowJob, error) {
	at, err := forge.ParseRepository(repository)
	if err != nil {
		return event.WorkflowJob{}, err
	}
	doing := fmt.Sprintf("reading job %d of %s", id, at)
	var raw json.RawMessage
	if err := c.do(ctx, request{doing: doing, method: http.MethodGet, path: fmt.Sprintf("repos/%s/actions/jobs/%d", at, id), into: &raw, needs: "read:repository"}); err != nil {
		return event.WorkflowJob{}, err
	}
	job, err := c.newJob(at, raw)
	if err == nil && job.Attempt > attempt {
		err = &forge.Error{Doing: doing, Kind: forge.ErrNotFound, Message: fmt.Sprintf("attempt %d is over: the job was run again", attempt)}
	}
	return job, err
}

// newJob puts around raw, the API's job, what a delivery has around it.
func (c *Client) newJob(at forge.Scope, raw json.RawMessage) (event.WorkflowJob, error) {
	counted, job, err := countAttempt(raw)
	if err != nil {
		return event.WorkflowJob{}, err
	}
	c.spellings.add(job.Labels)
	if counted == nil {
		counted = raw
	}
	payload, err := json.Marshal(map[string]any{
		"action": cmp.Or(event.StateOf(job.Status), event.ActionWaiting), "workflow_job": counted,
		"repository": map[string]string{"full_name": cmp.Or(repositoryIn(job.RunURL), at.String())},
	})
	if err != nil {
		return event.WorkflowJob{}, fmt.Errorf("job of %s: %w", at, err)
	}
	return event.ParseWorkflowJob(payload)
}

// jobs calls f for the jobs of a place that have status.
func (c *Client) jobs(ctx context.Context, at forge.Scope, status string, f func(apiJob)) error {
	doing := fmt.Sprintf("listing the jobs of %s that are %s", at, status)
	path, err := placePath(doing, at)
	if err != nil {
		return err
	}
	type page struct{ Jobs []json.RawMessage }
	r := request{doing: doing, method: http.MethodGet, path: path + "/actions/jobs?status=" + status, needs: "read:" + strings.TrimPrefix(scopeFor(at), "write:")}
	return list(ctx, c, r, func(p page) (int, bool) {
		for _, raw := range p.Jobs {
			job := apiJob{raw: raw}
			if err := json.Unmarshal(raw, &job); err == nil { // of what is no job nothing can be told
				f(job)
			}
		}
		return len(p.Jobs), true
	})
}

// QueuedJobs implements forge.Forge: one call.
func (c *Client) QueuedJobs(ctx context.Context, repository string) (all []event.WorkflowJob, err error) {
	at, err := forge.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	var fault error
	err = c.jobs(ctx, at, event.ActionQueued, func(j apiJob) {
		job, err := c.newJob(at, j.raw)
		if err != nil {
			fault = err
			return
		}
		all = append(all, job)
	})
	return all, cmp.Or(err, fault)
}

// LatelyQueuedJobs implements forge.Forge: there is no cheaper call.
func (c *Client) LatelyQueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error) {
	return c.QueuedJobs(ctx, repository)
}

// Repositories implements forge.Forge: those of an organisation that have a queued job now,
// by one call for fifty jobs.
func (c *Client) Repositories(ctx context.Context, at forge.Scope, _ int) (all []forge.Repository, err error) {
	if at.Kind == forge.OfRepository {
		return []forge.Repository{{Name: at.String()}}, nil
	}
	err = c.jobs(ctx, at, event.ActionQueued, func(j apiJob) {
		r := forge.Repository{Name: repositoryIn(j.RunURL), Organization: at.Owner}
		if r.Name != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	})
	return all, err
}

// repositoryIn returns the owner/name in the API's address of a run; "" when there is none.
func repositoryIn(runURL string) string {
	_, path, _ := strings.Cut(runURL, "/api/v1/repos/")
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[2] != "actions" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}
