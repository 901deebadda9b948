package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEnvelope(t *testing.T) {
	e := Event{
		ID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Source: SourceGitHub, DetailType: TypeWorkflowJob,
		Time:      time.Date(2026, 11, 20, 11, 0, 0, 123_999_999, time.FixedZone("CET", 3600)),
		Resources: []string{"acme/web"}, Detail: json.RawMessage(`{ "a": "<&>",` + "\n" + `"n": 1.0 }`),
	}
	const want = `{"version":"0","id":"72d3162e-cc78-11e3-81ab-4c9367dc0958","detail-type":"workflow_job","source":"github.com",` +
		`"account":"000000000000","time":"2026-11-20T10:00:00.123Z","region":"local","resources":["acme/web"],` +
		`"detail":{ "a": "<&>",` + "\n" + `"n": 1.0 }}`
	got, err := e.MarshalJSON()
	if err != nil || string(got) != want {
		t.Errorf("MarshalJSON: %v\n got %s\nwant %s", err, got, want)
	}
	got, err = e.AppendEnvelope([]byte("before "))
	if err != nil || string(got) != "before "+want {
		t.Errorf("AppendEnvelope: %v, %s", err, got)
	}
	got, err = Event{ID: "1"}.MarshalJSON()
	if err != nil || !strings.HasSuffix(string(got), `"resources":[],"detail":null}`) {
		t.Errorf("an empty event: %v, %s", err, got)
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`.{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		want := Event{
			ID: text.Draw(t, "id"), Source: text.Draw(t, "source"), DetailType: text.Draw(t, "type"),
			Time:      time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms")).UTC(),
			Resources: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "resources"),
			Detail:    json.RawMessage(`{"a":[1,{}]}`),
		}
		if want.Resources == nil {
			want.Resources = []string{}
		}
		data, err := want.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
	})
}

func TestUnmarshalFaults(t *testing.T) {
	tests := []struct{ src, want string }{
		{`{"id":"1","source":"s","detail-type":"t","time":"2026-01-31T12:00:00Z","detail":{}}`, ""},
		{`{"id":"1","source":"s","detail-type":"t","time":"yesterday","detail":{}}`, `event "1": time "yesterday": want RFC 3339, such as 2026-01-31T12:00:00Z`},
		{`{"id":"1","source":"s","detail-type":"t","detail":{}}`, `event "1": time "": want RFC 3339, such as 2026-01-31T12:00:00Z`},
		{`{"source":"s","detail-type":"t","time":"2026-01-31T12:00:00Z","detail":{}}`, `event without an id`},
		{`{"id":"1","detail-type":"t","time":"2026-01-31T12:00:00Z","detail":{}}`, `event "1": source is empty`},
		{`{"id":"1","source":"s","time":"2026-01-31T12:00:00Z","detail":{}}`, `event "1": detail-type is empty`},
		{`{"id":"1","source":"s","detail-type":"t","time":"2026-01-31T12:00:00Z"}`, `event "1": detail: want a JSON object`},
		{`{"id":"1","source":"s","detail-type":"t","time":"2026-01-31T12:00:00Z","detail":[]}`, `event "1": detail: want a JSON object`},
		{`{"id":"1","source":"s","detail-type":"t","time":"2026-01-31T12:00:00Z","detail":null}`, `event "1": detail: want a JSON object`},
	}
	for _, test := range tests {
		var e Event
		got := ""
		if err := json.Unmarshal([]byte(test.src), &e); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.src, got, test.want)
		}
	}
}

func TestWithRouting(t *testing.T) {
	r := Routing{Pool: "small", Labels: FlatLabels([]string{"self-hosted", "linux"}), Delivery: "guid", Job: "acme/web/7/1"}
	const member = `"mayfly":{"pool":"small","labels":"self-hosted,linux","delivery":"guid","job":"acme/web/7/1"}`
	tests := []struct{ payload, want string }{
		{`{}`, `{` + member + `}`},
		{"{ \n }\t", `{` + member + `}`},
		{`{"a":1}`, `{"a":1,` + member + `}`},
		{" {\"a\" : {} } \r\n", `{"a" : {},` + member + `}`},
		{`{"a":1.0,"z":"<\u0026>"}`, `{"a":1.0,"z":"<\u0026>",` + member + `}`},
		{`{"mayfly":{"pool":"huge","labels":"x","delivery":"y"}}`, `{"mayfly":{"pool":"huge","labels":"x","delivery":"y"},` + member + `}`},
	}
	for _, test := range tests {
		got, err := WithRouting(json.RawMessage(test.payload), r)
		if err != nil || string(got) != test.want {
			t.Errorf("%q: %v\n got %s\nwant %s", test.payload, err, got, test.want)
		}
		var back struct{ Mayfly Routing }
		if err := json.Unmarshal(got, &back); err != nil || back.Mayfly != r {
			t.Errorf("%s: routing is %+v, %v", got, back.Mayfly, err)
		}
	}
	for _, payload := range []string{``, ` `, `}`, `null`, `[]`, `"}"`, `[{}]`, `x}`, `]}`, ` }`, `{`} {
		if got, err := WithRouting(json.RawMessage(payload), r); err == nil {
			t.Errorf("%q: got %s, want an error", payload, got)
		}
	}
}

// TestWithRoutingKeepsPayload shows that the caller's bytes are not written to.
func TestWithRoutingKeepsPayload(t *testing.T) {
	backing := []byte(`{"a":1}tail of the buffer that the payload is a part of, long enough for the member`)
	before := string(backing)
	if _, err := WithRouting(backing[:7:len(backing)], Routing{}); err != nil {
		t.Fatal(err)
	}
	if string(backing) != before {
		t.Errorf("the buffer became %s", backing)
	}
}

func FuzzWithRouting(f *testing.F) {
	f.Add([]byte(`{"a":[{}]}`), "pool", "label")
	f.Add([]byte(" {\n} "), "\x00\xff", `"},{"`)
	f.Fuzz(func(t *testing.T, payload []byte, pool, labels string) {
		var before map[string]json.RawMessage
		if json.Unmarshal(payload, &before) != nil || before == nil {
			return
		}
		got, err := WithRouting(payload, Routing{Pool: pool, Labels: labels})
		if err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		var after map[string]json.RawMessage
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q became %q: %v", payload, got, err)
		}
		if after["mayfly"] == nil {
			t.Fatalf("%q has no routing", got)
		}
		delete(before, "mayfly")
		delete(after, "mayfly")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("%q (-before +after):\n%s", payload, diff)
		}
	})
}
