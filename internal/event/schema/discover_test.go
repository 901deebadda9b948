package schema

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mayfly-ci/mayfly/internal/racetest"
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

// TestEventsOfOthers checks each real event against what the others of its type show: it is
// valid, by our word and by another library's. What it has that they have not is drift.
func TestEventsOfOthers(t *testing.T) {
	racetest.Skip(t)
	events := realEvents(t)
	ofType := make(map[string][]string)
	for _, file := range slices.Sorted(maps.Keys(events)) {
		e, err := readEnvelope(events[file])
		if err != nil {
			t.Fatal(err)
		}
		ofType[e.DetailType] = append(ofType[e.DetailType], file)
	}
	checked, unlike := 0, 0
	for detailType, files := range ofType {
		for _, file := range files {
			var r Registry
			for _, other := range files {
				if other != file {
					observe(t, &r, events[other])
				}
			}
			s := r.Latest(Name("github.com", detailType))
			if s == nil {
				continue // the only one of its type
			}
			checked++
			if err := s.Validate(events[file]); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if err := judge(t, s)(events[file]); err != nil {
				t.Errorf("%s: JSON Schema: %v", file, err)
			}
			checkOpenAPI(t, s, map[string][]byte{file: events[file]})
			drift, err := s.Drift(events[file])
			if err != nil {
				t.Fatal(err)
			}
			if strict := asSettled(s).Validate(events[file]); strict != nil {
				if unlike++; len(drift) == 0 {
					t.Errorf("%s: not as the others (%v), and no drift", file, strict)
				}
			}
		}
	}
	if checked != len(events)-2 || unlike != 8 {
		t.Errorf("%d of %d events were checked, %d were not quite as the others: want all but 2, and 8", checked, len(events), unlike)
	}
}

// asSettled is s as if enough events had been seen.
func asSettled(s *Schema) *Schema {
	c := *s
	c.Tentative = false
	return &c
}

// TestSettles: what all of the first events have is not asked of the next before a hundred
// of them have been seen; what type it has is, at once.
func TestSettles(t *testing.T) {
	var r Registry
	other, wrong := inEnvelope("job", `{"at":"","n":null}`), inEnvelope("job", `{"n":"x"}`)
	for i := range enoughSeen {
		s, changed := observe(t, &r, inEnvelope("job", fmt.Sprintf(`{"at":"2026-01-31T12:00:00Z","n":%d,"o":{"x":%d}}`, i, i)))
		last := i == enoughSeen-1
		if changed != (i == 0 || last) || s.Tentative == last {
			t.Fatalf("event %d: changed %v, tentative %v", i+1, changed, s.Tentative)
		}
		if i%50 > 0 && !last {
			continue
		}
		if err := s.Validate(other); (err == nil) == last || (judge(t, s)(other) == nil) == last {
			t.Errorf("after %d events: %v", i+1, err)
		}
		if s.Validate(wrong) == nil || judge(t, s)(wrong) == nil {
			t.Errorf("after %d events another type is valid", i+1)
		}
	}
	versions := r.Versions("github.com@Job")
	if changes := Diff(versions[0], versions[1]); len(changes) != 1 || !changes[0].Settles() || changes[0].String() != "detail: standing tentative → settled" {
		t.Errorf("changes: %v", changes)
	}
}
