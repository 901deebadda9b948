package event

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
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

// A WorkflowJob is the part of a workflow_job payload that Mayfly reads. GitHub omits or nulls what
// does not exist yet, and Gitea omits it; both become the zero value.
type WorkflowJob struct {
	Action       string
	Status       string // the job's status when the payload was made; see State
	Repository   string // owner/name
	Organization string // login; "" for a repository of a user
	Enterprise   string // slug; "" outside an enterprise
	Installation int64  // the App installation that sent it; 0 without an App

	ID         int64
	RunID      int64
	Attempt    int // 1 for the first run; Gitea sends 0, which is kept
	Name       string
	Workflow   string
	Labels     []string // runs-on, as written
	Conclusion string   // of a completed job: success, failure, cancelled, skipped …
	RunnerID   int64    // of a running or completed job
	RunnerName string
	URL        string // the job's page

	Created, Started, Completed time.Time // times are zero if unknown (Gitea writes 1970 for unset)

	Routing Routing // zero in a payload that has not passed the webhook
}

// Key returns the text form of this attempt's key, such as "acme/web/123/1", with the repository in
// lower case: GitHub ignores its case.
func (w WorkflowJob) Key() string {
	return fmt.Sprintf("%s/%d/%d", strings.ToLower(w.Repository), w.ID, w.Attempt)
}

// State returns the job's state according to this payload, as the action that announces it; "" for
// an unknown action. A job that waits for an approval is sent as queued with the status waiting, so
// before in_progress the status decides; otherwise the later of the two.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job (example queued.with-deployment)
func (w WorkflowJob) State() string {
	action, status := stage(w.Action), stage(StateOf(w.Status))
	switch {
	case action < 0:
		return ""
	case status >= 0 && (action <= stage(ActionQueued) || status > action):
		return stages[status]
	}
	return w.Action
}

// stages are the actions in the order of a job's life.
var stages = []string{ActionWaiting, ActionQueued, ActionInProgress, ActionCompleted}

func stage(action string) int { return slices.Index(stages, action) }

// StateOf returns the action that announces a job's status, in a payload or from the API; "" for an
// unknown one. A pending or requested job waits, too.
// https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
func StateOf(status string) string {
	switch status {
	case ActionWaiting, "pending", "requested":
		return ActionWaiting
	case ActionQueued, ActionInProgress, ActionCompleted:
		return status
	}
	return ""
}

type wireJob struct {
	Action     string       `json:"action"`
	Job        *wireJobPart `json:"workflow_job"`
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
		ID number `json:"id"`
	} `json:"installation"`
	Mayfly Routing `json:"mayfly"`
}

type wireJobPart struct {
	ID         number   `json:"id"`
	RunID      number   `json:"run_id"`
	Attempt    number   `json:"run_attempt"`
	Status     string   `json:"status"`
	Name       string   `json:"name"`
	Workflow   string   `json:"workflow_name"`
	Labels     []string `json:"labels"`
	Conclusion string   `json:"conclusion"`
	RunnerID   number   `json:"runner_id"`
	RunnerName string   `json:"runner_name"`
	URL        string   `json:"html_url"`
	Created    string   `json:"created_at"`
	Started    string   `json:"started_at"`
	Completed  string   `json:"completed_at"`
}

// A number is the text of an integer in JSON, "" if it is absent or null. It accepts any JSON
// value, so that its faults are reported in this package's words.
type number string

// UnmarshalJSON keeps the text.
func (n *number) UnmarshalJSON(text []byte) error {
	if *n = number(text); *n == "null" {
		*n = ""
	}
	return nil
}

// within returns n, called name, if it is an integer from least to most; 0 if it is absent.
func (n number) within(name string, least, most int64) (int64, error) {
	if n == "" {
		return 0, nil
	}
	v, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || v < least || v > most {
		return 0, fmt.Errorf("%s %.40s: want an integer from %d to %d", name, n, least, most)
	}
	return v, nil
}

// orZero is for numbers on which nothing depends: a faulty one is 0.
func (n number) orZero() int64 {
	v, _ := n.within("", 0, math.MaxInt64)
	return v
}

// Bounds of the parts of a job's key. An id is exact in JSON even if it is read as a float64;
// attempts are far below their bound (GitHub allows 50 re-runs).
const (
	MaxID      = 1<<53 - 1
	MaxAttempt = math.MaxInt32
)

// wanted is the small part of a payload that wireJob reads.
var wanted = scan.Shape{
	"action": nil,
	"workflow_job": {
		"id": nil, "run_id": nil, "run_attempt": nil, "status": nil, "name": nil, "workflow_name": nil, "labels": nil,
		"conclusion": nil, "runner_id": nil, "runner_name": nil, "html_url": nil,
		"created_at": nil, "started_at": nil, "completed_at": nil,
	},
	"repository":   {"full_name": nil},
	"organization": {"login": nil, "username": nil},
	"enterprise":   {"slug": nil},
	"installation": {"id": nil},
	"mayfly":       nil,
}

// readWireJob decodes only what is wanted: every delivery passes here, and decoding a whole payload
// with encoding/json takes longer than all the rest.
func readWireJob(payload []byte) (w wireJob, err error) {
	if part, ok := scan.Project(make([]byte, 0, 2048), payload, wanted); ok {
		payload = part
	}
	err = json.Unmarshal(payload, &w) // of the whole payload if it is not an object, to report its fault
	return w, err
}

// ParseWorkflowJob parses a workflow_job payload, with or without [Routing]. An unknown action is
// not an error: GitHub adds actions, and the caller decides.
func ParseWorkflowJob(payload []byte) (WorkflowJob, error) {
	w, err := readWireJob(payload)
	if err != nil {
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: %w", err)
	}
	if w.Job == nil {
		w.Job = new(wireJobPart)
	}
	id, idErr := w.Job.ID.within("workflow_job.id", 1, MaxID)
	attempt, attemptErr := w.Job.Attempt.within("workflow_job.run_attempt", 0, MaxAttempt)
	switch {
	case w.Action == "":
		return WorkflowJob{}, errors.New("workflow_job payload: action is missing: want queued, waiting, in_progress or completed")
	case w.Job.ID == "":
		return WorkflowJob{}, errors.New("workflow_job payload: workflow_job.id is missing: want the id of a job")
	case idErr != nil || attemptErr != nil:
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: %w", cmp.Or(idErr, attemptErr))
	case !isFullName(w.Repository.FullName):
		return WorkflowJob{}, fmt.Errorf("workflow_job payload: repository.full_name %q: want owner/name", w.Repository.FullName)
	}
	organization := w.Organization.Login
	if organization == "" {
		organization = w.Organization.Username
	}
	j := w.Job
	return WorkflowJob{
		Action: w.Action, Status: j.Status, Repository: w.Repository.FullName, Organization: organization,
		Enterprise: w.Enterprise.Slug, Installation: w.Installation.ID.orZero(),
		ID: id, RunID: j.RunID.orZero(), Attempt: int(attempt), Name: j.Name, Workflow: j.Workflow,
		Labels: j.Labels, Conclusion: j.Conclusion, RunnerID: j.RunnerID.orZero(), RunnerName: j.RunnerName, URL: j.URL,
		Created: parseTime(j.Created), Started: parseTime(j.Started), Completed: parseTime(j.Completed),
		Routing: w.Mayfly,
	}, nil
}

// isFullName reports whether s is owner/name in the characters that GitHub allows. It ends up in
// keys, paths and on terminals.
func isFullName(s string) bool {
	owner, name, found := strings.Cut(s, "/")
	return found && isPlain(owner) && isPlain(name)
}

func isPlain(s string) bool {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, odd) // GitHub: 39 and 100 characters
}

// parseTime parses a timestamp; an absent or broken one, or one of 1970, is zero, because no
// decision depends on it.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() <= 1970 {
		return time.Time{}
	}
	return t.UTC()
}
