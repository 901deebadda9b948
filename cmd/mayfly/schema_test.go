package main

import (
	"context"
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus/registry"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestSchema discovers the schema of real payloads and has the commands tell of it.
func TestSchema(t *testing.T) {
	t.Parallel()
	const name = "github.com@Workflow_job"
	file, state := writeConfig(t, smallConfig)
	m := serveStore(t, file, state, false)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Schemas.Run(ctx) }()
	publish := func(id, detail string, version int) {
		t.Helper()
		e := event.Event{ID: id, Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(), Detail: []byte(detail)}
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			schemas, err := registry.Read(t.Context(), m.DB)
			if err != nil {
				t.Fatal(err)
			}
			if len(schemas[name]) == version {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d versions, want %d", len(schemas[name]), version)
			}
		}
	}
	job, err := os.ReadFile("../../testdata/webhooks/github/workflow_job-queued-6.json")
	if err != nil {
		t.Fatal(err)
	}
	publish("a", string(job), 1)
	publish("b", strings.Replace(string(job), "{", `{"new_field": 1.5, `, 1), 2)

	list := tooltest.JSON[[]inspect.Schema](t, "-c", file, "schema", "list", "--json")
	if len(list) != 1 || list[0].Name != name || list[0].Version != 2 || list[0].Fields < 100 || list[0].Changed != "detail.new_field: added, number" {
		t.Errorf("schema list: %+v", list)
	}
	for command, want := range map[string]string{
		"list":                               name + "  2",
		"show " + name:                       "detail.workflow_job.started_at  string  required  date-time\n",
		"show --version 1 " + name:           "version 1 since",
		"diff " + name:                       "detail.new_field: added, number\n",
		"diff --version 1 --since 2 " + name: "detail.new_field: removed, was number\n",
		"drift":                              name + "  2        detail.new_field: added, number\n",
		"drift --since 1m " + name:           "detail.new_field: added, number\n",
	} {
		out, errs, code := tooltest.Mayfly(t, append([]string{"-c", file, "schema"}, strings.Fields(command)...)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("schema %s: exit code %d, want %q:\n%s%s", command, code, want, out, errs)
		}
	}
	for _, format := range []string{"openapi", "jsonschema"} {
		out, _, _ := tooltest.Mayfly(t, "-c", file, "schema", "export", name, "--format", format)
		if !json.Valid([]byte(out)) || !strings.Contains(out, "new_field") {
			t.Errorf("schema export --format %s:\n%.500s", format, out)
		}
	}
	out, _, _ := tooltest.Mayfly(t, "-c", file, "schema", "export", name, "--format", "go", "--package", "jobs")
	if f, err := parser.ParseFile(token.NewFileSet(), "jobs.go", out, 0); err != nil || f.Name.Name != "jobs" {
		t.Errorf("schema export --format go: %v\n%.500s", err, out)
	}
	for command, want := range map[string]string{
		"show x": "schema list", "drift x": "schema list", "show --version 3 " + name: "want 1 to 2", "diff --version 1 " + name: "nothing to compare",
	} {
		if _, errs, code := tooltest.Mayfly(t, append([]string{"-c", file, "schema"}, strings.Fields(command)...)...); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("schema %s: exit code %d, want 1 and %q:\n%s", command, code, want, errs)
		}
	}
	if _, errs, _ := tooltest.Mayfly(t, "-c", file, "status"); !strings.Contains(errs, "schema "+name+" has changed: detail.new_field: added, number: mayfly schema drift "+name) {
		t.Errorf("status says nothing of it:\n%s", errs)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
