package worker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

func TestParsePairs(t *testing.T) {
	for text, want := range map[string][]pair{
		"":                        nil,
		"A=1\nB=x=y\n":            {{"A", "1"}, {"B", "x=y"}},
		"A=\r\n\nB=2":             {{"A", ""}, {"B", "2"}},
		"A<<END\none\ntwo\nEND\n": {{"A", "one\ntwo"}},
		"A<<E\nE\nB<<E\nx=<<y\nE": {{"A", ""}, {"B", "x=<<y"}},
		"A=x<<y\n":                {{"A", "x<<y"}},
		"A<<=\nv\n=\n":            {{"A", "v"}},
	} {
		got, err := parsePairs(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(pair{})); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"A", "=1", "A<<END\nopen\n", "A<<\n\n", "<<E\nE"} {
		if got, err := parsePairs(text); err == nil {
			t.Errorf("%q gave %v, want an error", text, got)
		}
	}
}

func TestParseCommand(t *testing.T) {
	for line, want := range map[string]command{
		"::error file=a.go,line=3,title=x%2Cy::no%0Away%25": {"error", map[string]string{"file": "a.go", "line": "3", "title": "x,y"}, "no\nway%"},
		"  ::group::Build": {"group", map[string]string{}, "Build"},
		"::endgroup::":     {"endgroup", map[string]string{}, ""},
		"::add-mask::a::b": {"add-mask", map[string]string{}, "a::b"},
	} {
		got, ok := parseCommand(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); !ok || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", line, ok, diff)
		}
	}
	for _, line := range []string{"", "plain", "a::b::c", "::", "::open", "::::", ":: ::x"} {
		if got, ok := parseCommand(line); ok {
			t.Errorf("%q was taken for %+v", line, got)
		}
	}
}

func TestMasks(t *testing.T) {
	var m masks
	if got := m.hide("as it is"); got != "as it is" {
		t.Errorf("without secrets: %q", got)
	}
	for _, s := range []string{"hunter", "hunter22", "line one\nline two", "x", "", "  "} {
		m.add(s)
	}
	got := m.hide("hunter22 hunter line two, x")
	if got != "*** *** ***, x" {
		t.Errorf("hidden: %q", got)
	}
}

func TestAnnotationsAreMasked(t *testing.T) {
	s := &step{job: &job{masks: &masks{}}, stepResult: stepResult{Number: 2}}
	s.job.masks.add("hunter2")
	c, _ := parseCommand("::warning file=a.go,line=3,title=hunter2::hunter2 it is")
	s.annotate(c.annotation(), 7)
	c, _ = parseCommand("::error::wrong")
	s.annotate(c.annotation(), 7)
	want := []annotation{
		{Level: "warning", Message: "*** it is", Title: "***", Path: "a.go", StartLine: 3, EndLine: 3, StepNumber: 2},
		{Level: "failure", Message: "wrong", StartLine: 7, EndLine: 7, StepNumber: 2},
	}
	if diff := cmp.Diff(want, s.Annotations); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContextData(t *testing.T) {
	var got map[string]contextData
	source := `{"github":{"t":2,"d":[{"k":"sha","v":"abc"},{"k":"n","v":{"t":4,"n":7}},{"k":"list","v":{"t":1,"a":["x",{"t":3,"b":true},null]}}]},"matrix":null,"text":{"t":0,"s":"y"}}`
	if err := json.Unmarshal([]byte(source), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"sha": "abc", "n": 7.0, "list": []any{"x", true, nil}}
	if diff := cmp.Diff(want, got["github"].value); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got["matrix"].value != nil || got["text"].value != "y" {
		t.Errorf("matrix %v, text %v", got["matrix"].value, got["text"].value)
	}
	if err := json.Unmarshal([]byte(`{"t":9}`), new(contextData)); err == nil {
		t.Error("type 9 was accepted")
	}
}

func TestTemplates(t *testing.T) {
	scope := expr.Scope{Contexts: map[string]any{"env": map[string]any{"X": "1"}}}
	source := `{"type":2,"map":[{"Key":"a","Value":{"type":3,"expr":"format('v{0}', env.X)"}},{"key":{"type":0,"lit":"b"},"value":{"type":5,"bool":true}},
		{"key":"c","value":{"type":1,"seq":[1,null,"${{ literal }}"]}}]}`
	var tpl templ
	if err := json.Unmarshal([]byte(source), &tpl); err != nil {
		t.Fatal(err)
	}
	got, err := tpl.eval(scope)
	want := map[string]any{"a": "v1", "b": true, "c": []any{1.0, nil, "${{ literal }}"}}
	if diff := cmp.Diff(any(want), got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if v, err := (*templ)(nil).eval(scope); v != nil || err != nil {
		t.Errorf("nothing evaluates to %v, %v", v, err)
	}
	if _, err := (&templ{Type: 3, Expr: "secrets.x"}).eval(scope); err == nil {
		t.Error("an unknown context was taken for null")
	}
	if _, err := (&templ{Lit: "text"}).texts(scope); err == nil {
		t.Error("a text was taken for a mapping")
	}
}

func TestLineWriter(t *testing.T) {
	var lines []string
	w := lineWriter{each: func(l string) { lines = append(lines, l) }}
	for _, part := range []string{"one\ntw", "o\r\n\n", "th\xffree", strings.Repeat("x", maxLine)} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("wrote %d of %d: %v", n, len(part), err)
		}
	}
	w.flush()
	want := []string{"one", "two", "", "th�ree" + strings.Repeat("x", maxLine)}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// aJIT is a configuration as GitHub gives it, of a key that guards nothing.
func FuzzParsePairs(f *testing.F) {
	f.Add("A=1\nB<<END\nx\nEND\n")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := parsePairs(text)
		if err != nil {
			return
		}
		for _, p := range pairs {
			if p.name == "" || strings.ContainsAny(p.name, "\n=") {
				t.Errorf("%q has a pair named %q", text, p.name)
			}
		}
	})
}
