package minirunner_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// transcripts are what GitHub's runner 2.336.0 asked of githubsim, one request a
// line; their origin is told there.
const transcripts = "../githubsim/testdata/official-runner/*.jsonl"

// A shape is what requests of a kind have: all keys that one has, and those that
// each has.
type shape struct{ some, each map[string]bool }

func (s *shape) add(keys map[string]bool) {
	if s.some == nil {
		s.some, s.each = map[string]bool{}, maps.Clone(keys)
	}
	maps.Copy(s.some, keys)
	maps.DeleteFunc(s.each, func(k string, _ bool) bool { return !keys[k] })
}

// keysOf are the keys of a query and of a JSON body, with those above them.
func keysOf(query, body string) map[string]bool {
	keys := map[string]bool{}
	values, _ := url.ParseQuery(query) // what is odd in it shows as a key
	for k := range values {
		keys["?"+k] = true
	}
	var v any
	if json.Unmarshal([]byte(body), &v) == nil {
		collect(keys, "", v)
	}
	return keys
}

// named are objects whose keys are names that a workflow gives.
var named = []string{".outputs"}

func collect(keys map[string]bool, above string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if slices.Contains(named, above) {
				k = "*"
			}
			keys[above+"."+k] = true
			collect(keys, above+"."+k, item)
		}
	case []any:
		for _, item := range v {
			collect(keys, above+"[]", item)
		}
	}
}

// kindOf is the call that the fake knows for one of a transcript; empty for what is
// no call of the runner's own.
func kindOf(method, path string) string {
	path = strings.TrimPrefix(path, "/_runner")
	parts := strings.Split(path, "/")
	switch {
	case strings.HasPrefix(path, "/blob/"):
		return method + " /blob"
	case strings.HasPrefix(path, "/actions/build/"):
		return resolve
	case slices.Contains([]string{"token", "broker", "run", "results", "tenant"}, parts[1]):
		return method + " " + path
	}
	return ""
}

// official reads the shapes of the transcripts.
func official(t *testing.T) map[string]*shape {
	t.Helper()
	files, err := filepath.Glob(transcripts)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	shapes := map[string]*shape{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var asked struct{ Method, Path, Body string }
			if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
				t.Fatal(err)
			}
			path, query, _ := strings.Cut(asked.Path, "?")
			if kind := kindOf(asked.Method, path); kind != "" {
				if shapes[kind] == nil {
					shapes[kind] = &shape{}
				}
				shapes[kind].add(keysOf(query, asked.Body))
			}
		}
	}
	return shapes
}

// TestAsksAsOfficial has the mini runner do what the official one did in the
// transcripts, and finds the same calls with the same parameters and fields.
func TestAsksAsOfficial(t *testing.T) {
	f := newFake(t,
		script("say", `echo "o=1" >> $GITHUB_OUTPUT; echo "::warning file=a.c,line=3::careful"; exit 1`, "success()"),
		script("skipped", "echo never", "success()"),
		uses("action", "acme/x@v1", nil),
	)
	f.job["steps"].([]any)[2].(object)["condition"] = "always()"
	f.job["jobOutputs"] = object{"type": 2, "map": []any{object{"key": "o", "value": object{"type": 3, "expr": "steps.say.outputs.o"}}}}
	f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: composite, steps: [{run: echo here, shell: bash}]}"})
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	asked := map[string]*shape{}
	for call, bodies := range f.bodies {
		method, path, _ := strings.Cut(call, " ")
		kind := kindOf(method, path)
		if kind == "" {
			continue
		}
		if asked[kind] == nil {
			asked[kind] = &shape{}
		}
		for _, body := range bodies {
			asked[kind].add(keysOf(f.queries[call], body))
		}
	}
	compare(t, official(t), asked)
}

func compare(t *testing.T, want, got map[string]*shape) {
	t.Helper()
	for kind, ours := range got {
		theirs := want[kind]
		if theirs == nil {
			t.Errorf("%s: the official runner makes no such call", kind)
			continue
		}
		for k := range ours.some {
			if !theirs.some[k] {
				t.Errorf("%s: the official runner never gives %s", kind, k)
			}
		}
		for k := range theirs.each {
			if !ours.each[k] {
				t.Errorf("%s: the official runner always gives %s", kind, k)
			}
		}
	}
	for kind := range want {
		if got[kind] == nil {
			t.Error(fmt.Sprint("the mini runner does not call ", kind))
		}
	}
}
