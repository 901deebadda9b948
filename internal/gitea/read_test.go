package gitea

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// captured returns the jobs of the deliveries that a real Gitea sent, as c reads them, in their order.
func captured(t *testing.T, c *Client) (jobs []event.WorkflowJob) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/webhooks/gitea/*workflow_job*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		e, err := c.Read(event.Event{ID: req.Header.Get("X-GitHub-Delivery"), DetailType: req.Header.Get("X-GitHub-Event"), Detail: body})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		job, err := event.ParseWorkflowJob(e.Detail)
		if err != nil || e.Source != Source {
			t.Fatalf("%s: source %q, %v", file, e.Source, err)
		}
		jobs = append(jobs, job)
	}
	return jobs
}

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := New(Config{URL: url, Token: secret.New("a token")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReadCountsAttempts: all that real deliveries tell of one attempt of a job has one key, from
// queued to completed, and each attempt has another.
func TestReadCountsAttempts(t *testing.T) {
	last := map[ledger.JobKey]string{}
	for _, job := range captured(t, newClient(t, "http://127.0.0.1:1")) {
		key := ledger.KeyOf(job)
		if key.Attempt < 1 {
			t.Errorf("%v: attempts count from 1", key)
		}
		before := last[key]
		switch job.Action {
		case event.ActionWaiting, event.ActionQueued:
			if before == event.ActionInProgress || before == event.ActionCompleted {
				t.Errorf("%v is %s after it was %s: want another attempt", key, job.Action, before)
			}
		case event.ActionInProgress:
			if before != event.ActionQueued {
				t.Errorf("%v is in progress after %q: want it queued before, under the same key", key, before)
			}
		case event.ActionCompleted:
			if before == "" {
				t.Errorf("%v is completed, and was never queued under that key", key)
			}
		}
		last[key] = job.Action
	}
}

// TestReadCountsReruns: a job that is run again keeps its id, and loses its runner until one takes it.
// What Gitea says then is in internal/forgetest, and this is that.
func TestReadCountsReruns(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	for _, step := range []struct {
		action, job string
		want        int
	}{
		{"queued", `"run_attempt": 0`, 1}, {"in_progress", `"run_attempt": 1, "runner_id": 7`, 1}, {"completed", `"run_attempt": 1, "runner_id": 7`, 1},
		{"queued", `"run_attempt": 1`, 2}, {"in_progress", `"run_attempt": 2, "runner_id": 8`, 2}, {"completed", `"run_attempt": 2, "runner_id": 8`, 2},
		{"completed", `"run_attempt": 2`, 3}, // cancelled before a runner took it
	} {
		detail := fmt.Sprintf(`{"action": %q, "workflow_job": {"id": 1, "labels": ["a"], %s}, "repository": {"full_name": "acme/web"}}`, step.action, step.job)
		e, err := c.Read(event.Event{DetailType: event.TypeWorkflowJob, Detail: []byte(detail)})
		if err != nil {
			t.Fatal(err)
		}
		if job, err := event.ParseWorkflowJob(e.Detail); err != nil || job.Attempt != step.want {
			t.Errorf("%s: attempt %d, %v: want %d", detail, job.Attempt, err, step.want)
		}
	}
}

func TestReadRefusesOddPayloads(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	for _, detail := range []string{``, `[]`, `{}`, `{"workflow_job": 7}`, `{"workflow_job": {"run_attempt": "x"}}`, `{"workflow_job": {"labels": 7}}`} {
		if _, err := c.Read(event.Event{DetailType: event.TypeWorkflowJob, Detail: []byte(detail)}); err == nil {
			t.Errorf("%q was read", detail)
		}
	}
	e, err := c.Read(event.Event{DetailType: "workflow_run", Detail: []byte(`{"a": 1}`)})
	if err != nil || string(e.Detail) != `{"a": 1}` {
		t.Errorf("%s, %v: want a payload of no job as it is", e.Detail, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"action": "queued", "workflow_job": {"id": 1, "run_attempt": 0, "labels": ["a"]}, "repository": {"full_name": "a/b"}}`))
	f.Add([]byte(`{"workflow_job": {"runner_id": 3}}`))
	f.Fuzz(func(t *testing.T, detail []byte) {
		c := &Client{}
		e, err := c.Read(event.Event{DetailType: event.TypeWorkflowJob, Detail: detail})
		if err != nil {
			return
		}
		was, wasErr := event.ParseWorkflowJob(detail)
		is, isErr := event.ParseWorkflowJob(e.Detail)
		if wasErr == nil && isErr == nil && (is.ID != was.ID || is.Repository != was.Repository || is.Attempt < was.Attempt || is.Attempt > was.Attempt+1) {
			t.Errorf("%s became %s", detail, e.Detail)
		}
	})
}
