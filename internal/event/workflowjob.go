package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event/scan"
)

// Actions of a workflow_job event.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
const (
	ActionWaiting    = "waiting"
	ActionQueued     = "queued"
	ActionInProgress = "in_progress"
	ActionCompleted  = "completed"
)

// A WorkflowJob is the part of a workflow_job payload that Mayfly reads.
// GitHub leaves out or nulls what is not there yet, and Gitea leaves it out;
// both become the zero value.
type WorkflowJob struct {
	Action       string
	Repository   string // owner/name
	Organization string // login; "" for a repository of a user
	Enterprise   string // slug; "" outside an enterprise
	Installation int64  // the App installation that sent it; 0 without an App

	ID         int64
	RunID      int64
	Attempt    int // 1 for the first run; Gitea says 0, which is kept
	Name       string
	Workflow   string
	Labels     []string // runs-on, as written
	Conclusion string   // of a completed job: success, failure, cancelled, skipped …
	RunnerID   int64    // of a job in progress or completed
	RunnerName string
	URL        string // the job's page

	Created, Started, Completed time.Time // zero where unknown (Gitea writes 1970 for unset)

	Routing Routing // zero in a payload that has not passed the webhook
}

// Key names this attempt of the job as one flat text, such as "acme/web/123/1", with the
// repository in lower case: GitHub ignores its case.
func (w WorkflowJob) Key() string {
	return fmt.Sprintf("%s/%d/%d", strings.ToLower(w.Repository), w.ID, w.Attempt)
}

type wireJob struct {
	Action string `json:"action"`
	Job    *struct {
		ID         int64    `json:"id"`
		RunID      int64    `json:"run_id"`
		Attempt    int      `json:"run_attempt"`
		Name       string   `json:"name"`
		Workflow   string   `json:"workflow_name"`
		Labels     []string `json:"labels"`
		Conclusion string   `json:"conclusion"`
		RunnerID   int64    `json:"runner_id"`
		RunnerName string   `json:"runner_name"`
		URL        string   `json:"html_url"`
		Created    string   `json:"created_at"`
		Started    string   `json:"started_at"`
		Completed  string   `json:"completed_at"`
	} `json:"workflow_job"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Organization struct {
		Login    string `json:"login"`
		Username string `json:"username"` // Gitea
	} `json:"organization"`
	Enterprise struct {
		Slug string `json:"slug"`
	} `json:"enterprise"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	Mayfly Routing `json:"mayfly"`
}

// wanted is what wireJob reads, which is little of a payload.
var wanted = scan.Shape{
	"action": nil,
	"workflow_job": {
		"id": nil, "run_id": nil, "run_attempt": nil, "name": nil, "workflow_name": nil, "labels": nil,
		"conclusion": nil, "runner_id": nil, "runner_name": nil, "html_url": nil,
		"created_at": nil, "started_at": nil, "completed_at": nil,
	},
	"repository":   {"full_name": nil},
	"organization": {"login": nil, "username": nil},
	"enterprise":   {"slug": nil},
	"installation": {"id": nil},
	"mayfly":       nil,
}

// readWireJob decodes only what is wanted: every delivery comes through here, and
// encoding/json takes longer over a whole payload than all the rest of its way.
func readWireJob(payload []byte) (w wireJob, err error) {
	if part, ok := scan.Project(make([]byte, 0, 2048), payload, wanted); ok {
		payload = part
	}
	err = json.Unmarshal(payload, &w) // of the whole when it is no object, to say what is wrong
	return w, err
}

// ParseWorkflowJob reads a workflow_job payload, with or without [Routing].
// An unknown action is no error: GitHub adds them; the caller decides.
func ParseWorkflowJob(payload []byte) (WorkflowJob, error) {
	w, err := readWireJob(payload)
	if err != nil {
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: %w", err)
	}
	switch {
	case w.Action == "":
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: action is missing: want queued, waiting, in_progress or completed")
	case w.Job == nil || w.Job.ID == 0:
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: workflow_job.id is missing: want the id of a job")
	case !isFullName(w.Repository.FullName):
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: repository.full_name %q: want owner/name", w.Repository.FullName)
	}
	organization := w.Organization.Login
	if organization == "" {
		organization = w.Organization.Username
	}
	j := w.Job
	return WorkflowJob{
		Action: w.Action, Repository: w.Repository.FullName, Organization: organization,
		Enterprise: w.Enterprise.Slug, Installation: w.Installation.ID,
		ID: j.ID, RunID: j.RunID, Attempt: j.Attempt, Name: j.Name, Workflow: j.Workflow,
		Labels: j.Labels, Conclusion: j.Conclusion, RunnerID: j.RunnerID, RunnerName: j.RunnerName, URL: j.URL,
		Created: parseTime(j.Created), Started: parseTime(j.Started), Completed: parseTime(j.Completed),
		Routing: w.Mayfly,
	}, nil
}

func isFullName(s string) bool {
	owner, name, found := strings.Cut(s, "/")
	return found && owner != "" && name != "" && !strings.Contains(name, "/")
}

// parseTime reads a timestamp; one that is absent, broken or of 1970 is zero,
// because no decision rests on it.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() <= 1970 {
		return time.Time{}
	}
	return t.UTC()
}
