package transform_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// sample is the event of EventBridge's documentation, with a few fields more.
const sample = `{"version":"0","id":"7bf7","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",
	"account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","resources":["arn:a","arn:b"],
	"detail":{"instance-id":"i-0123456789","state":"RUNNING","n":1.50,"yes":true,"none":null,"quote":"say \"hi\"","html":"a<b>&c",
	"list":[{"a":1},{"a":2}],"empty":[]}}`

func paths() map[string]string {
	return map[string]string{
		"timestamp": "$.time", "instance": "$.detail.instance-id", "state": "$.detail.state", "n": "$.detail.n",
		"yes": "$.detail.yes", "none": "$.detail.none", "quote": "$.detail.quote", "html": "$.detail.html",
		"resources": "$.resources", "second": "$.resources[1]", "third": "$.resources[2]", "all": "$.resources[*]",
		"deep": "$.detail.list[1].a", "item": "$.detail.list[0]", "missing": "$.detail.nothing", "beyond": "$.detail.state.x",
		"notlist": "$.detail[0]", "notlists": "$.detail[*]", "event": "$",
	}
}

func input() transform.Input {
	return transform.Input{Event: []byte(sample), Rule: "example", Ingested: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
}

func TestApply(t *testing.T) {
	var compact map[string]any
	if err := json.Unmarshal([]byte(sample), &compact); err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		// Of the documentation.
		`"instance <instance> is in <state>"`:                                         `"instance i-0123456789 is in RUNNING"`,
		`"instance \"<instance>\" is in <state>"`:                                     `"instance \"i-0123456789\" is in RUNNING"`,
		"{\n  \"instance\" : <instance>,\n  \"state\": <state>\n}":                    `{"instance":"i-0123456789","state":"RUNNING"}`,
		`{"instance": <instance>, "state": [9, <state>, true], "Transformed": "Yes"}`: `{"instance":"i-0123456789","state":[9,"RUNNING",true],"Transformed":"Yes"}`,
		`"<aws.events.rule-name> triggered"`:                                          `"example triggered"`,
		`<aws.events.rule-arn>`:                                                       `"arn:aws:events:local:000000000000:rule/example"`,
		`<aws.events.event.ingestion-time>`:                                           `"2026-01-31T12:00:00Z"`,
		// Kinds of values, outside quotes and inside.
		`[<n>, <yes>, <none>, <state>, <item>, <resources>]`: `[1.50,true,null,"RUNNING",{"a":1},["arn:a","arn:b"]]`,
		`"<n> <yes> <none> <state> <item> <resources>"`:      `"1.50 true null RUNNING {a:1} [arn:a,arn:b]"`,
		`[<second>, <deep>, <all>]`:                          `["arn:b",2,["arn:a","arn:b"]]`,
		// What is not there.
		`"(<missing>|<third>|<beyond>|<notlist>|<notlists>)"`: `"(||||)"`,
		`{"a": <missing>}`: `{"a":""}`,
		// Text outside quotes keeps its escapes.
		`[<quote>, <html>]`:           `["say \"hi\"","a<b>&c"]`,
		`"<html>"`:                    `"a<b>&c"`,
		`{"a": "x: <state>", "b": 1}`: `{"a":"x: RUNNING","b":1}`,
	} {
		tr, err := transform.Parse(paths(), template)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		if got, err := tr.Apply(input()); string(got) != want || err != nil {
			t.Errorf("%s gives %s, %v; want %s", template, got, err, want)
		}
	}
}

func TestWholeEvents(t *testing.T) {
	var want map[string]any
	if err := json.Unmarshal([]byte(sample), &want); err != nil {
		t.Fatal(err)
	}
	for _, template := range []string{`<aws.events.event.json>`, `<event>`, `<aws.events.event>`} {
		tr, err := transform.Parse(paths(), template)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Apply(input())
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if template == `<aws.events.event>` {
			delete(want, "detail")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", template, diff)
		}
	}
}

// TestNotEscaped holds the documented trap: the output is refused, not repaired.
func TestNotEscaped(t *testing.T) {
	tr, err := transform.Parse(paths(), `"he <quote>"`)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tr.Apply(input()); !errors.Is(err, transform.ErrNotJSON) {
		t.Errorf("%s, %v; want ErrNotJSON", out, err)
	}
	for _, event := range []string{`{`, `{} x`, ``} {
		if _, err := tr.Apply(transform.Input{Event: []byte(event)}); err == nil {
			t.Errorf("%q was transformed", event)
		}
	}
}

func TestRefused(t *testing.T) {
	many := map[string]string{}
	for i := range 101 {
		many[strings.Repeat("x", i+1)] = "$.a"
	}
	for _, test := range []struct {
		name     string
		paths    map[string]string
		template string
		want     string
	}{
		{"too many", many, `1`, "101 paths"},
		{"too long", nil, `"` + strings.Repeat("x", 8191) + `"`, "8193 bytes"},
		{"empty", nil, ``, "0 bytes"},
		{"no quotes", paths(), `<instance> is in <state>`, "want JSON, so quotes around a text"},
		{"unknown", paths(), `"<other>"`, `variable "other"`},
		{"open", paths(), `"a < b"`, `after "<"`},
		{"spaces", paths(), `"<a b>"`, `after "<"`},
		{"key", paths(), `{"<state>" : 1}`, "in a key"},
		{"later in a key", paths(), `{"a\"<state>b<n>" : 1}`, "in a key"},
		{"bare key", paths(), `{<state>: 1}`, "want JSON"},
		{"two values", paths(), `<state> <state>`, "want JSON"},
		{"reserved", map[string]string{"aws.x": "$.a"}, `1`, "not aws."},
		{"reserved, large", map[string]string{"AWS.x": "$.a"}, `1`, "not aws."},
		{"odd name", map[string]string{"a b": "$.a"}, `1`, `variable "a b"`},
		{"no root", map[string]string{"a": "detail"}, `1`, "begins with $"},
		{"brackets", map[string]string{"a": "$['detail']"}, `1`, `at "['detail']"`},
		{"double dot", map[string]string{"a": "$..detail"}, `1`, `at "..detail"`},
		{"open bracket", map[string]string{"a": "$.a[1"}, `1`, `at "[1"`},
		{"open star", map[string]string{"a": "$.a[*"}, `1`, "want .name"},
		{"negative", map[string]string{"a": "$.a[-1]"}, `1`, `at "[-1]"`},
		{"filter", map[string]string{"a": "$.a[?(@.b)]"}, `1`, `at "[?`},
		{"name", map[string]string{"a": "$.a b"}, `1`, `at ".a b"`},
		{"joined", map[string]string{"a": "$.a[0]b"}, `1`, `at "b"`},
	} {
		if _, err := transform.Parse(test.paths, test.template); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q in it", test.name, err, test.want)
		}
	}
}

// TestHostile has templates and events made to take much memory or time.
func TestHostile(t *testing.T) {
	large := `{"detail":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`
	deep := `{"detail":` + strings.Repeat(`[`, 1_000_000) + strings.Repeat(`]`, 1_000_000) + `}`
	many := `[` + strings.Repeat(`<aws.events.event.json>,`, 330) + `1]`
	for _, test := range []struct {
		name, template, event string
		want                  error // nil for any
	}{
		{"a large event, often", many, large, transform.ErrTooLarge},
		{"a deep event", many, deep, nil},
		{"deep elements", `<deep>`, `{"detail":{"list":` + strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000) + `}}`, nil},
	} {
		tr, err := transform.Parse(paths(), test.template)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Apply(transform.Input{Event: []byte(test.event)})
		if len(out) > transform.MaxOutput || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %d bytes, %v; want %v", test.name, len(out), err, test.want)
		}
	}
	if _, err := transform.Parse(paths(), strings.Repeat(`[`, 5000)+`1`+strings.Repeat(`]`, 3191)); err == nil {
		t.Error("a template that is not closed was taken")
	}
}

// FuzzTransform looks for panics and for output that is not JSON.
func FuzzTransform(f *testing.F) {
	f.Add("$.detail.state", `"a <v> <aws.events.rule-name>"`, sample)
	f.Add("$.resources[*]", `{"a": <v>, "b": [<v>]}`, sample)
	if github, err := os.ReadFile("../../../testdata/webhooks/github/workflow_job-queued-6.json"); err == nil {
		f.Add("$.workflow_job.labels[0]", `"<v>"`, string(github))
	}
	f.Fuzz(func(t *testing.T, path, template, event string) {
		tr, err := transform.Parse(map[string]string{"v": path}, template)
		if err != nil {
			return
		}
		if out, err := tr.Apply(transform.Input{Event: []byte(event), Rule: "r"}); err == nil && !json.Valid(out) {
			t.Errorf("%q of %q in %q gives %q", path, event, template, out)
		}
	})
}
