package schema

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// inEnvelope puts a detail into EventBridge's envelope.
func inEnvelope(detailType, detail string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"1","account":"000000000000","region":"local","source":"github.com","detail-type":%q,`+
		`"time":"2026-11-20T10:00:00.000Z","resources":["acme/web"],"detail":%s}`, detailType, detail)
}

// realEvents returns GitHub's published examples and requests of a real Gitea
// as events, by file. The latter get a detail type of their own.
func realEvents(t testing.TB) map[string][]byte {
	t.Helper()
	events := make(map[string][]byte)
	files, err := filepath.Glob("../../../testdata/webhooks/*/*")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), "-")
		if filepath.Ext(file) == ".http" {
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			name = "gitea " + req.Header.Get("X-GitHub-Event")
			if data, err = io.ReadAll(req.Body); err != nil {
				t.Fatal(err)
			}
		}
		events[filepath.Base(file)] = inEnvelope(name, string(data))
	}
	return events
}

func observe(t testing.TB, r *Registry, event []byte) (*Schema, bool) {
	t.Helper()
	s, changed, err := r.Observe(event)
	if err != nil {
		t.Fatal(err)
	}
	return s, changed
}

// judge compiles what JSONSchema exports with a library that is not ours.
func judge(t testing.TB, s *Schema) func(event []byte) error {
	t.Helper()
	data, err := s.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("event.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("event.json")
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return func(event []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(value)
	}
}

// TestRealEvents discovers the schemas of all real events, and asks two
// libraries whether the exports are valid and the events are as they say.
func TestRealEvents(t *testing.T) {
	events := realEvents(t)
	var r Registry
	for _, file := range slices.Sorted(maps.Keys(events)) {
		observe(t, &r, events[file])
	}
	want := []string{
		"github.com@GiteaWorkflow_job", "github.com@GiteaWorkflow_run", "github.com@Installation", "github.com@Ping",
		"github.com@Pull_request", "github.com@Push", "github.com@Release", "github.com@Workflow_job", "github.com@Workflow_run",
	}
	if diff := cmp.Diff(want, r.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	judges := make(map[string]func([]byte) error)
	for file, event := range events {
		e, err := readEnvelope(event)
		if err != nil {
			t.Fatal(err)
		}
		s := r.Latest(Name(e.Source, e.DetailType))
		if judges[s.Name()] == nil {
			judges[s.Name()] = judge(t, s)
		}
		if err := s.Validate(event); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := judges[s.Name()](event); err != nil {
			t.Errorf("%s: JSON Schema: %v", file, err)
		}
		if drift, err := s.Drift(event); err != nil || len(drift) > 0 {
			t.Errorf("%s: drift %v, %v", file, drift, err)
		}
	}
	for _, name := range r.Names() {
		checkOpenAPI(t, r.Latest(name), events)
	}
}

func checkOpenAPI(t *testing.T, s *Schema, events map[string][]byte) {
	t.Helper()
	data, err := s.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		t.Errorf("%s: OpenAPI: %v", s.Name(), err)
		return
	}
	for file, event := range events {
		var value map[string]any
		if err := json.Unmarshal(event, &value); err != nil {
			t.Fatal(err)
		}
		if value["detail-type"] != s.DetailType {
			continue
		}
		if err := doc.Components.Schemas["AWSEvent"].Value.VisitJSON(value); err != nil {
			t.Errorf("%s: OpenAPI: %v", file, err)
		}
	}
}

// TestEventsOfOthers checks each of GitHub's examples against what the others of
// its type show. Where it is not as they are, Drift has said so, and with the
// example itself the schema is one it validates against.
func TestEventsOfOthers(t *testing.T) {
	index := regexp.MustCompile(`\[\d+\]`)
	events := realEvents(t)
	alike := 0
	for file, event := range events {
		if filepath.Ext(file) == ".http" && !strings.HasPrefix(file, "03") {
			continue // ten of Gitea's are enough
		}
		e, err := readEnvelope(event)
		if err != nil {
			t.Fatal(err)
		}
		var r Registry
		for _, other := range slices.Sorted(maps.Keys(events)) {
			if o, _ := readEnvelope(events[other]); other != file && o.DetailType == e.DetailType {
				observe(t, &r, events[other])
			}
		}
		s := r.Latest(Name(e.Source, e.DetailType))
		if s == nil {
			continue // the only one of its type
		}
		drift, err := s.Drift(event)
		if err != nil {
			t.Fatal(err)
		}
		paths := make(map[string]bool)
		for _, change := range drift {
			paths[change.Path] = true
		}
		var faults Faults
		if errors.As(s.Validate(event), &faults); len(faults) == 0 {
			alike++
		}
		for _, fault := range faults {
			if !paths[index.ReplaceAllString(fault.Path, "[]")] {
				t.Errorf("%s: %v, which Drift does not show", file, fault)
			}
		}
		if with, _ := observe(t, &r, event); with.Validate(event) != nil {
			t.Errorf("%s with itself: %v", file, with.Validate(event))
		}
	}
	if alike != 18 {
		t.Errorf("%d events are as the others of their type, want 18", alike)
	}
}
