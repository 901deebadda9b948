package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// fieldInput returns an input of the field, with edits as pairs of old and new.
func fieldInput(t *testing.T, name string, edits ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../testdata/field", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.NewReplacer(edits...).Replace(string(text)))
}

// job returns the job id once it is as wanted.
func (w *world) job(t *testing.T, id int64, want func(ledger.Job) bool) inspect.Job {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		jobs := tooltest.JSON[[]inspect.Job](t, "jobs", "--json", "--limit", "1000", "--config", w.config())
		for _, j := range jobs {
			if j.Key.ID == id && want(j.Job) {
				return j
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %d is not as it should be: %+v\n%s", id, jobs, w.up.said())
		}
	}
}

func in(state ledger.JobState) func(ledger.Job) bool {
	return func(j ledger.Job) bool { return j.State == state }
}

// TestFieldInputs sends what came in from the field through the real handler, bus and ledger, and asks the real commands.
func TestFieldInputs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	w.edit(t, "labels: ["+worldLabel+"]", "labels: [self-hosted, linux, small, "+worldLabel+"]")
	w.serve(t)
	send := func(body []byte) { w.deliver(t, event.TypeWorkflowJob, body) }

	send(fieldInput(t, "gate-1-queued"))
	send(fieldInput(t, "gate-2-waiting"))
	if j := w.job(t, 900001, in(ledger.JobWaiting)); j.Runners != 0 {
		t.Errorf("a job that waits for an approval: %+v: want no runner", j)
	}
	send(fieldInput(t, "gate-1-queued", `"status": "waiting"`, `"status": "queued"`))
	w.job(t, 900001, func(j ledger.Job) bool { return j.Runners == 1 })

	send(fieldInput(t, "comma-label"))
	if j := w.job(t, 910002, in(ledger.JobUnroutable)); !strings.Contains(j.Text, `no pool takes label "a,b,c", d, e: `) || len(j.Labels.Labels()) != 3 {
		t.Errorf("one label with commas: %+v: want it told as one", j)
	}
	for i, label := range []string{"ubuntu-latest", "windows-2022", "macos-14", "ubuntu-24.04-arm", ""} {
		id := int64(930001 + i)
		labels := fmt.Sprintf("[%q]", label)
		if label == "" {
			labels = "[]"
		}
		send(fieldInput(t, "hosted", "930001", fmt.Sprint(id), `["ubuntu-latest"]`, labels))
		w.job(t, id, in(ledger.JobHosted))
	}

	send(fieldInput(t, "not-installed"))
	w.job(t, 970001, func(j ledger.Job) bool { return j.Refused > 0 && strings.Contains(j.LastFailure, "404") })

	for n := range 10 { // a re-run of the failed jobs: GitHub tells of the others as they were
		send(fieldInput(t, "rerun-carried-over", "94000", fmt.Sprint(94000+n)))
	}
	w.job(t, 94009, in(ledger.JobCompleted))

	send(fieldInput(t, "null-job"))
	send(bytes.Replace(fieldInput(t, "hosted"), []byte(`"run_attempt": 1`), []byte(`"run_attempt": 4611686018427387904`), 1))
	out, _, code := tooltest.Mayfly(t, "quarantine", "list", "--config", w.config())
	if code != 0 || !strings.Contains(out, "workflow_job.id is missing") || !strings.Contains(out, "workflow_job.run_attempt 4611686018427387904: want an integer") {
		t.Errorf("quarantine, exit code %d:\n%s", code, out)
	}
	out, _, code = tooltest.Mayfly(t, "status", "--config", w.config())
	if code != 0 || !strings.Contains(out, `label "a,b,c"`) || strings.Contains(out, "macos") {
		t.Errorf("status, exit code %d: want the comma told, and nothing of GitHub's own runners but their count\n%s", code, out)
	}

	w.push(t, map[string]string{".github/workflows/one.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.up.kill()
	w.serve(t) // what was kept can be read
	w.job(t, 910002, in(ledger.JobUnroutable))
}
