package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// payloads returns real workflow_job payloads by file name.
func payloads(t testing.TB) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	files, err := filepath.Glob("../../testdata/webhooks/*/*workflow_job*")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d payloads, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) == ".http" {
			data = body(t, data)
		}
		all[filepath.Base(file)] = data
	}
	return all
}

func body(t testing.TB, request []byte) []byte {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseWorkflowJob(t *testing.T) {
	at := func(s string) time.Time {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	all := payloads(t)
	for file, want := range map[string]WorkflowJob{
		"workflow_job-queued-7.json": { // null runner, null conclusion
			Action: ActionQueued, Status: "waiting", Repository: "lineville/elastic-machines-testing", Installation: 23154469,
			ID: 12877621891, RunID: 4747967848, Attempt: 1, Name: "test", Workflow: "Env Test", Labels: []string{"self-hosted", "k8s"},
			URL:     "https://github.com/lineville/elastic-machines-testing/actions/runs/4747967848/jobs/8433573014",
			Created: at("2023-04-19T21:12:12Z"), Started: at("2023-04-19T21:12:12Z"),
		},
		"workflow_job-in_progress-1.json": { // no run_attempt, workflow_name, created_at
			Action: ActionInProgress, Status: "in_progress", Repository: "octo-org/example-workflow", Organization: "octo-org",
			ID: 2832853555, RunID: 940463255, Name: "Test workflow", Labels: []string{"gpu", "db-app", "dc-03"},
			RunnerID: 1, RunnerName: "my runner",
			URL: "https://github.com/octo-org/example-workflow/runs/2832853555", Started: at("2021-06-15T19:22:27Z"),
		},
		"workflow_job-completed-2.json": {
			Action: ActionCompleted, Status: "completed", Repository: "Codertocat/Hello-World", Organization: "Octocoders",
			ID: 289782451, RunID: 2202229078, Attempt: 1, Name: "linters", Workflow: "CodeQL", Labels: []string{"ubuntu-latest"},
			Conclusion: "failure", RunnerID: 5, RunnerName: "GitHub Actions 5", URL: "https://github.com/octo-org/octo-repo/runs/1291536064",
			Created: at("2021-08-05T10:33:58Z"), Started: at("2021-08-05T10:34:58Z"), Completed: at("2021-08-05T10:38:16Z"),
		},
		"002-workflow_job-queued.http": { // Gitea: attempt 0, times of 1970
			Action: ActionQueued, Status: "queued", Repository: "acme/web", Organization: "acme",
			ID: 1, RunID: 1, Name: "build", Labels: []string{"self-hosted", "linux", "small"},
			URL: "http://127.0.0.1:13000/acme/web/actions/runs/1/jobs/1", Created: at("2026-11-23T09:18:30Z"),
		},
		"005-workflow_job-completed.http": {
			Action: ActionCompleted, Status: "completed", Repository: "acme/web", Organization: "acme",
			ID: 1, RunID: 1, Attempt: 1, Name: "build", Labels: []string{"self-hosted", "linux", "small"},
			Conclusion: "success", RunnerID: 3, RunnerName: "jit-1", URL: "http://127.0.0.1:13000/acme/web/actions/runs/1/jobs/1",
			Created: at("2026-11-23T09:18:30Z"), Started: at("2026-11-23T09:19:09Z"), Completed: at("2026-11-23T09:19:10Z"),
		},
	} {
		got, err := ParseWorkflowJob(all[file])
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestParseEveryRealPayload compares what is read with the file's name and with
// the payload itself, before and after routing.
func TestParseEveryRealPayload(t *testing.T) {
	routing := Routing{Pool: "small", Labels: "self-hosted", Delivery: "guid", Job: "acme/web/7/1"}
	for file, payload := range payloads(t) {
		got, err := ParseWorkflowJob(payload)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !strings.Contains(file, "workflow_job-"+got.Action) {
			t.Errorf("%s: action %q", file, got.Action)
		}
		var tree struct {
			Job map[string]any `json:"workflow_job"`
		}
		if err := json.Unmarshal(payload, &tree); err != nil {
			t.Fatal(err)
		}
		if float64(got.ID) != tree.Job["id"] || float64(got.RunID) != tree.Job["run_id"] || got.Name != tree.Job["name"] || len(got.Labels) == 0 {
			t.Errorf("%s: got %+v", file, got)
		}
		for name, at := range map[string]time.Time{"started_at": got.Started, "completed_at": got.Completed} {
			text, _ := tree.Job[name].(string)
			if known := text != "" && !strings.HasPrefix(text, "1970"); known == at.IsZero() {
				t.Errorf("%s: %s is %q and became %v", file, name, text, at)
			}
		}
		routed, err := WithRouting(payload, routing)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := ParseWorkflowJob(routed)
		got.Routing = routing
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%s routed: %v (-want +got):\n%s", file, err, diff)
		}
	}
}

func TestNullIsAbsent(t *testing.T) {
	const head = `{"action":"queued","repository":{"full_name":"acme/web"},"workflow_job":{"id":7`
	absent, err := ParseWorkflowJob([]byte(head + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	null, err := ParseWorkflowJob([]byte(head + `,"run_id":null,"run_attempt":null,"name":null,"workflow_name":null,"labels":null,` +
		`"conclusion":null,"runner_id":null,"runner_name":null,"html_url":null,"created_at":null,"started_at":null,"completed_at":null},` +
		`"organization":null,"enterprise":null,"installation":null,"mayfly":null}`))
	if err != nil {
		t.Fatal(err)
	}
	want := WorkflowJob{Action: ActionQueued, Repository: "acme/web", ID: 7}
	if diff := cmp.Diff(want, absent); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, null); diff != "" {
		t.Errorf("null (-want +got):\n%s", diff)
	}
}

func TestParseWorkflowJobFaults(t *testing.T) {
	tests := []struct{ payload, want string }{
		{``, `workflow_job payload: unexpected end of JSON input`},
		{`null`, `workflow_job payload: action is missing: want queued, waiting, in_progress or completed`},
		{`{"workflow_job":{"id":1},"repository":{"full_name":"a/b"}}`, `workflow_job payload: action is missing: want queued, waiting, in_progress or completed`},
		{`{"action":"queued","repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id is missing: want the id of a job`},
		{`{"action":"queued","workflow_job":null,"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id is missing: want the id of a job`},
		{`{"action":"queued","workflow_job":{"id":0},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id 0: want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":-1},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id -1: want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":4611686018427387904},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id 4611686018427387904: want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":99999999999999999999},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id 99999999999999999999: want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":7.5},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id 7.5: want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":"7"},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.id "7": want an integer from 1 to 9007199254740991`},
		{`{"action":"queued","workflow_job":{"id":7,"run_attempt":-1},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.run_attempt -1: want an integer from 0 to 2147483647`},
		{`{"action":"queued","workflow_job":{"id":7,"run_attempt":4611686018427387904},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.run_attempt 4611686018427387904: want an integer from 0 to 2147483647`},
		{`{"action":"queued","workflow_job":{"id":7,"run_attempt":1e0},"repository":{"full_name":"a/b"}}`, `workflow_job payload: workflow_job.run_attempt 1e0: want an integer from 0 to 2147483647`},
		{`{"action":"queued","workflow_job":{"id":1}}`, `workflow_job payload: repository.full_name "": want owner/name`},
		{`{"action":"queued","workflow_job":{"id":1},"repository":{"full_name":"a/b/c"}}`, `workflow_job payload: repository.full_name "a/b/c": want owner/name`},
		{`{"action":"queued","workflow_job":{"id":1},"repository":{"full_name":"/b"}}`, `workflow_job payload: repository.full_name "/b": want owner/name`},
		{`{"action":"queued","workflow_job":{"id":1},"repository":{"full_name":"a/\u202eb"}}`, "workflow_job payload: repository.full_name \"a/\\u202eb\": want owner/name"},
		{`{"action":"queued","workflow_job":{"id":1},"repository":{"full_name":"a/"}}`, `workflow_job payload: repository.full_name "a/": want owner/name`},
	}
	for _, test := range tests {
		if got, err := ParseWorkflowJob([]byte(test.payload)); err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v, %+v\nwant %s", test.payload, err, got, test.want)
		}
	}
	const unknown = `{"action":"paused","workflow_job":{"id":1},"repository":{"full_name":"a/b"}}`
	if got, err := ParseWorkflowJob([]byte(unknown)); err != nil || got.Action != "paused" {
		t.Errorf("an unknown action: %v, %+v", err, got)
	}
}

// TestState: the status counts as well as the action.
func TestState(t *testing.T) {
	for _, test := range []struct{ action, status, want string }{
		{"queued", "", "queued"}, {"queued", "queued", "queued"}, {"queued", "waiting", "waiting"}, {"queued", "pending", "waiting"},
		{"queued", "requested", "waiting"}, {"queued", "in_progress", "in_progress"}, {"queued", "completed", "completed"}, {"queued", "new", "queued"},
		{"waiting", "waiting", "waiting"}, {"waiting", "", "waiting"}, {"waiting", "queued", "queued"},
		{"in_progress", "queued", "in_progress"}, {"in_progress", "waiting", "in_progress"}, {"in_progress", "completed", "completed"},
		{"completed", "in_progress", "completed"}, {"completed", "completed", "completed"}, {"paused", "queued", ""}, {"", "", ""},
	} {
		if got := (WorkflowJob{Action: test.action, Status: test.status}).State(); got != test.want {
			t.Errorf("%s with status %q: %q: want %q", test.action, test.status, got, test.want)
		}
	}
	for file, want := range map[string]string{"gate-1-queued.json": "waiting", "gate-2-waiting.json": "waiting", "comma-label.json": "queued"} {
		payload, err := os.ReadFile(filepath.Join("../../testdata/field", file))
		if err != nil {
			t.Fatal(err)
		}
		if job, err := ParseWorkflowJob(payload); err != nil || job.State() != want {
			t.Errorf("%s: %q, %v: want %q", file, job.State(), err, want)
		}
	}
}

func FuzzParseWorkflowJob(f *testing.F) {
	for _, payload := range payloads(f) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		job, err := ParseWorkflowJob(payload)
		if err != nil {
			return
		}
		if !json.Valid(payload) || job.Action == "" || job.ID < 1 || job.ID > MaxID || job.Attempt < 0 || job.Attempt > MaxAttempt || !strings.Contains(job.Repository, "/") {
			t.Fatalf("%q: %+v", payload, job)
		}
		for _, at := range []time.Time{job.Created, job.Started, job.Completed} {
			if !at.IsZero() && at.Year() <= 1970 {
				t.Fatalf("%q: time %v", payload, at)
			}
		}
	})
}
