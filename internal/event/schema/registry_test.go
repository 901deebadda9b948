package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestName(t *testing.T) {
	tests := []struct{ source, detailType, want string }{
		{"github.com", "workflow_job", "github.com@Workflow_job"},
		{"aws.ec2", "EC2 Instance State-change Notification", "aws.ec2@EC2InstanceStateChangeNotification"},
		{"mayfly", "Runner Wanted", "mayfly@RunnerWanted"},
		{"my app/orders", "order.created", "my-app-orders@OrderCreated"},
		{"a", "--", "a@"},
	}
	for _, test := range tests {
		if got := Name(test.source, test.detailType); got != test.want {
			t.Errorf("Name(%q, %q): got %s, want %s", test.source, test.detailType, got, test.want)
		}
	}
}

// TestVersions has events in order of arrival, each with what it changes.
func TestVersions(t *testing.T) {
	var r Registry
	version := 1
	observe(t, &r, inEnvelope("job", `{"action":"queued","at":"2026-01-31T12:00:00Z","url":"https://example.com/1","n":1,"labels":[],"o":{"x":1}}`))
	for _, step := range []struct {
		detail string
		want   []string
	}{
		{`{"action":"done","at":"2026-02-01T12:00:00+01:00","url":"http://example.com/2?a=b#c","n":-5,"labels":[],"o":{"x":2}}`, nil},
		{`{"action":"done","at":"2026-02-01","url":"https://example.com/2","n":1,"labels":["a"],"o":{"x":2}}`,
			[]string{"detail.at: format date-time → any", "detail.labels[]: types  → string"}},
		{`{"action":null,"at":"","url":"https://example.com/keys{/id}","n":1.5,"labels":["b",7],"o":{"x":2,"y":{"z":[]}}}`,
			[]string{"detail.action: types string → null|string", "detail.labels[]: types string → integer|string", "detail.n: types integer → number", "detail.o.y: added, object", "detail.url: format uri → any"}},
		{`{"at":"","url":"","n":1,"labels":[],"o":"none"}`,
			[]string{"detail.action: presence required → optional", "detail.o: types object → string|object"}},
		{`{"at":"","url":"","n":2,"labels":["c"],"o":{}}`, []string{"detail.o.x: presence required → optional"}},
		{`{"at":"","url":"","n":2,"labels":[],"o":{},"l":[{"k":1},{"k":2}]}`, []string{"detail.l: added, array"}},
		{`{"at":"","url":"","n":2,"labels":[],"o":{},"l":[{"k":1},{}]}`, []string{"detail.l[].k: presence required → optional"}},
	} {
		before := r.Latest("github.com@Job")
		drift, err := before.Drift(inEnvelope("job", step.detail))
		if err != nil {
			t.Fatal(err)
		}
		s, changed := observe(t, &r, inEnvelope("job", step.detail))
		if changed {
			version++
		}
		if changed != (len(step.want) > 0) || s.Version != version {
			t.Errorf("%s: changed %v, version %d, want %d", step.detail, changed, s.Version, version)
		}
		var lines []string
		for _, change := range Diff(before, s) {
			lines = append(lines, change.String())
		}
		if diff := cmp.Diff(step.want, lines); diff != "" {
			t.Errorf("%s: Diff (-want +got):\n%s", step.detail, diff)
		}
		if diff := cmp.Diff(Diff(before, s), drift); diff != "" {
			t.Errorf("%s: Drift is not Diff (-diff +drift):\n%s", step.detail, diff)
		}
	}
	if got := len(r.Versions("github.com@Job")); got != version {
		t.Errorf("%d versions are kept, want %d", got, version)
	}
	checkFirstVersion(t, &r)
}

func checkFirstVersion(t *testing.T, r *Registry) {
	t.Helper()
	first := r.Versions("github.com@Job")[0]
	if want := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC); first.Version != 1 || !first.Since.Equal(want) || first.Detail.Fields["n"].Types != Integer {
		t.Errorf("the first version became %+v", first)
	}
	removed := Diff(r.Latest("github.com@Job"), first)
	if !slices.Contains(removed, Change{Path: "detail.o.y", Kind: Removed, Old: "object"}) {
		t.Errorf("backwards: %v", removed)
	}
}

// TestEnum shows when values are taken for all there are, and when no longer.
func TestEnum(t *testing.T) {
	var r Registry
	action := func(value string) ([]string, bool) {
		s, changed := observe(t, &r, inEnvelope("job", fmt.Sprintf(`{"action":%q,"labels":["x","x","x"]}`, value)))
		return s.Detail.Fields["action"].Text.Enum(), changed
	}
	for i := range enoughSeen - 1 {
		if enum, changed := action([]string{"queued", "done"}[i%2]); enum != nil || changed != (i == 0) {
			t.Fatalf("after %d events: enum %v, changed %v", i+1, enum, changed)
		}
	}
	if enum, changed := action("done"); !cmp.Equal(enum, []string{"done", "queued"}) || !changed {
		t.Errorf("enough events: enum %v, changed %v", enum, changed)
	}
	if err := r.Latest("github.com@Job").Validate(inEnvelope("job", `{"action":"paused","labels":[]}`)); err == nil ||
		err.Error() != `detail.action is "paused": want one of done, queued` {
		t.Errorf("another value: %v", err)
	}
	if enum, changed := action("waiting"); len(enum) != 3 || !changed {
		t.Errorf("a third value: enum %v, changed %v", enum, changed)
	}
	for i := range 5 {
		action(fmt.Sprint(i))
	}
	if enum, changed := action("one too many"); enum != nil || !changed {
		t.Errorf("many values: enum %v, changed %v", enum, changed)
	}
	if enum, changed := action("queued"); enum != nil || changed {
		t.Errorf("a value known before: enum %v, changed %v", enum, changed)
	}
}

func TestValidate(t *testing.T) {
	var r Registry
	observe(t, &r, inEnvelope("job", `{"id":1,"f":1.5,"b":true,"s":"x","at":"2026-01-31T12:00:00Z","url":"https://example.com","l":[{"k":1}],"z":null,"o":{"x":{}}}`))
	s, _ := observe(t, &r, inEnvelope("job", `{"id":2,"f":1,"b":true,"s":null,"at":"2026-01-31T12:00:00Z","url":"https://example.com","l":[{"k":1,"v":2}],"z":null,"o":{"x":{}},"opt":1}`))
	s = asSettled(s)
	const valid = `{"id":1,"f":2,"b":false,"s":"y","at":"2026-01-31T12:00:00Z","url":"https://example.com","l":[],"z":[1],"o":{"x":{"new":1}},"new":2}`
	if err := s.Validate(inEnvelope("job", valid)); err != nil {
		t.Errorf("valid: %v", err)
	}
	tests := []struct{ old, new, want string }{
		{`"id":1,`, ``, `detail.id is missing: want integer`},
		{`"id":1,`, `"id":1.5,`, `detail.id is number: want integer`},
		{`"b":false`, `"b":null`, `detail.b is null: want boolean`},
		{`"s":"y"`, `"s":5`, `detail.s is integer: want null|string`},
		{`12:00:00Z`, `12:00`, `detail.at is "2026-01-31T12:00": want a date-time`},
		{`https://example.com`, `example.com`, `detail.url is "example.com": want a uri`},
		{`"l":[]`, `"l":[{"k":1},{"k":"a"}]`, `detail.l[1].k is string: want integer`},
		{`"l":[]`, `"l":[{"v":1}]`, `detail.l[0].k is missing: want integer`},
		{`{"x":{"new":1}}`, `[]`, `detail.o is array: want object`},
		{valid, `[]`, `detail is array: want object`},
		{`"id":1,"f":2`, `"f":"a"`, `detail.f is string: want number; detail.id is missing: want integer`},
	}
	for _, test := range tests {
		event := inEnvelope("job", strings.Replace(valid, test.old, test.new, 1))
		if err := s.Validate(event); err == nil || err.Error() != test.want {
			t.Errorf("%s for %s:\n got %v\nwant %s", test.new, test.old, err, test.want)
		}
		if judge(t, s)(event) == nil {
			t.Errorf("%s for %s: JSON Schema finds nothing", test.new, test.old)
		}
	}
	for event, want := range map[string]string{
		`{`:                               "event: unexpected EOF",
		`[]`:                              "event is array: want object",
		string(inEnvelope("push", valid)): `detail-type is "push": want one of job`,
	} {
		if err := s.Validate([]byte(event)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", event, err, want)
		}
	}
}

// TestMap shows that an object whose names are data becomes a map.
func TestMap(t *testing.T) {
	names := func(from, to int) []byte {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `"k%d":{"n":%d},`, i, i)
		}
		return inEnvelope("job", `{"files":{`+strings.TrimSuffix(b.String(), ",")+`}}`)
	}
	for name, events := range map[string][][]byte{
		"in one event":     {names(0, maxFields+1)},
		"in several":       {names(0, 200), names(200, 400)},
		"before and after": {names(0, maxFields+1), names(0, 3)},
		"after and before": {names(0, 3), names(0, maxFields+1)},
	} {
		var r Registry
		for _, event := range events {
			observe(t, &r, event)
		}
		s := asSettled(r.Latest("github.com@Job"))
		if files := s.Detail.Fields["files"]; files.Fields != nil || files.Values.Fields["n"].Types != Integer {
			t.Errorf("%s: files is %+v", name, files)
		}
		for _, change := range Diff(r.Versions(s.Name())[0], s) {
			if change.Kind == Removed {
				t.Errorf("%s: %s", name, change)
			}
		}
		if _, changed := observe(t, &r, names(1000, 1010)); changed {
			t.Errorf("%s: other names change the schema", name)
		}
		wrong := inEnvelope("job", `{"files":{"x":{"n":"a"}}}`)
		if err := s.Validate(wrong); err == nil || err.Error() != `detail.files.x.n is string: want integer` || judge(t, s)(wrong) == nil {
			t.Errorf("%s: Validate: %v", name, err)
		}
	}
}

func TestDepth(t *testing.T) {
	s, err := inferJSON([]byte(strings.Repeat(`[`, 300) + strings.Repeat(`]`, 300)))
	if err != nil {
		t.Fatal(err)
	}
	levels := 0
	for ; s.Types == Array; s = s.Items {
		levels++
	}
	if levels != maxDepth || s.Types != Any {
		t.Errorf("%d levels and then %s, want %d and any type", levels, s.Types, maxDepth)
	}
}

func TestOldVersionsGo(t *testing.T) {
	var r Registry
	for i := range maxVersions + 50 {
		observe(t, &r, inEnvelope("job", fmt.Sprintf(`{"k%d":1}`, i)))
	}
	versions := r.Versions("github.com@Job")
	if len(versions) != maxVersions || versions[0].Version != 51 || versions[maxVersions-1].Version != maxVersions+50 {
		t.Errorf("%d versions, %d to %d", len(versions), versions[0].Version, versions[len(versions)-1].Version)
	}
}

func TestObserveFaults(t *testing.T) {
	var r Registry
	for _, event := range []string{``, `[]`, `{}`, `{"source":"a","detail-type":"b"}`, `{"source":"a","detail":{}}`, `{"detail-type":"b","detail":{}}`, `{"source":"a","detail-type":"b","detail":{},"time":"now"}`} {
		if s, changed, err := r.Observe([]byte(event)); err == nil || s != nil || changed {
			t.Errorf("%s: got %v, %v, %v, want an error", event, s, changed, err)
		}
	}
	if len(r.Names()) > 0 || r.Versions("x") != nil || r.Latest("x") != nil {
		t.Errorf("the registry has %v", r.Names())
	}
}

// values generates JSON with few names and few texts, so that shapes meet.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), values(depth-1), 0, 4).Draw(t, "object")
		case kind == 1 && depth > 0:
			return rapid.SliceOfN(values(depth-1), 0, 3).Draw(t, "array")
		}
		return rapid.SampledFrom([]any{
			nil, true, json.Number("1"), json.Number("-7"), json.Number("1.5"), "", "x", "y",
			"2026-01-31T12:00:00Z", "2026-02-31T12:00:00Z", "https://example.com/a?b#c", "a b", // of URIs with braces, which RFC 3986 has not, the other library is content
		}).Draw(t, "scalar")
	})
}

func drawDetail(t *rapid.T, label string) string {
	object := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), values(2), 0, 4).Draw(t, label)
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func drawShape(t *rapid.T, label string) *Shape {
	s, err := inferJSON([]byte(drawDetail(t, label)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMergeLaws(t *testing.T) {
	evidence := cmpopts.IgnoreFields(Text{}, "Seen")
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawShape(t, "a"), drawShape(t, "b"), drawShape(t, "c")
		before := a.clone()
		same := func(law string, x, y *Shape, opts ...cmp.Option) {
			if diff := cmp.Diff(x, y, append(opts, cmpopts.EquateEmpty())...); diff != "" {
				t.Errorf("%s:\n%s", law, diff)
			}
		}
		ab := Merge(a, b)
		same("commutative", ab, Merge(b, a))
		same("associative", Merge(ab, c), Merge(a, Merge(b, c)))
		same("idempotent", a, Merge(a, a), evidence)
		same("absorbs", ab, Merge(ab, b), evidence)
		same("arguments are kept", before, a)
		same("nothing known", Merge(nil, a), Merge(a, nil))
	})
}

// TestJudges discovers a schema and asks whether we and another library say the
// same of an event it was not discovered from.
func TestJudges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var r Registry
		var s *Schema
		for range rapid.IntRange(1, 4).Draw(rt, "events") {
			event := inEnvelope("job", drawDetail(rt, "known"))
			s, _ = observe(t, &r, event)
			if err := s.Validate(event); err != nil {
				rt.Fatalf("%s made the schema and is not valid: %v", event, err)
			}
		}
		if rapid.Bool().Draw(rt, "settled") {
			s = asSettled(s)
		}
		other := inEnvelope("job", drawDetail(rt, "other"))
		ours, theirs := s.Validate(other), judge(t, s)(other)
		if (ours == nil) != (theirs == nil) {
			data, _ := s.JSONSchema()
			rt.Errorf("%s\non %s:\nours %v\ntheirs %v", other, data, ours, theirs)
		}
		if drift, _ := s.Drift(other); ours != nil && len(drift) == 0 {
			rt.Errorf("%s is not valid (%v) and shows no drift", other, ours)
		}
	})
}

// TestBounds observes events made to be remembered: new names, new
// values, wide, deep, of many types.
func TestBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var r Registry
	deep := strings.Repeat(`{"d":`, 400) + `1` + strings.Repeat(`}`, 400)
	full := 0
	for i := range 2000 {
		var b strings.Builder
		for range 10 {
			fmt.Fprintf(&b, `"k%d":{"%d":[%q,%d]},`, random.IntN(1000), random.IntN(1000), strings.Repeat("v", random.IntN(200)), i)
		}
		detail := `{` + b.String() + `"deep":1}`
		if i%100 == 0 {
			detail = `{` + b.String() + `"deep":` + deep + `}`
		}
		// Half of them are of one type, each other one of a type of its own.
		_, _, err := r.Observe(inEnvelope(fmt.Sprintf("type %d", i%2*i), detail))
		if errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.Names()); n != maxSchemas || full == 0 {
		t.Errorf("%d schemas, %d events without room, want %d schemas", n, full, maxSchemas)
	}
	for _, name := range r.Names() {
		versions := r.Versions(name)
		kept := 0
		for _, s := range versions {
			kept += s.Detail.positions()
		}
		if n := r.Latest(name).Detail.positions(); len(versions) > maxVersions || n > maxPositions || kept > maxKept {
			t.Errorf("%s: %d versions of %d positions, the latest %d", name, len(versions), kept, n)
		}
	}
}

// TestRealTrafficIsSmall observes 10,000 real events and weighs the registry.
func TestRealTrafficIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 10,000 events")
	}
	detail := func(i int) []byte {
		return inEnvelope("workflow_job", fmt.Sprintf(`{"action":%q,"workflow_job":{"id":%d,"name":"build %d","labels":["linux","x%d"],"url":"https://example.com/%d",`+
			`"conclusion":null,"created_at":"2026-11-20T10:00:00Z"},"repository":{"full_name":"acme/web-%d"}}`, []string{"queued", "completed"}[i%2], i, i, i, i, i))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var r Registry
	for i := range 10_000 {
		observe(t, &r, detail(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 256<<10 {
		t.Errorf("10,000 events left %d bytes, want at most 256 KiB", kept)
	}
	if s := r.Latest("github.com@Workflow_job"); s.Version > 5 || !cmp.Equal(s.Detail.Fields["action"].Text.Enum(), []string{"completed", "queued"}) {
		t.Errorf("version %d, action %+v", s.Version, s.Detail.Fields["action"].Text)
	}
}

// TestRegistryJSON goes on from what was written down, as if nothing had happened.
func TestRegistryJSON(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var r, again Registry
		for range rapid.IntRange(1, 3).Draw(rt, "before") {
			observe(t, &r, inEnvelope("job", drawDetail(rt, "event")))
		}
		data, err := json.Marshal(&r)
		if err != nil {
			rt.Fatal(err)
		}
		if err := json.Unmarshal(data, &again); err != nil {
			rt.Fatal(err)
		}
		event := inEnvelope("job", drawDetail(rt, "next"))
		s, changed := observe(t, &r, event)
		s2, changed2 := observe(t, &again, event)
		if diff := cmp.Diff(s, s2, cmpopts.EquateEmpty()); diff != "" || changed != changed2 {
			rt.Errorf("changed %v and %v (-want +got):\n%s", changed, changed2, diff)
		}
	})
	for _, broken := range []string{`[]`, `{"a":null}`, `{"a":{}}`, `{"a":{"shape":{"types":["thing"]},"versions":[{}]}}`} {
		if err := new(Registry).UnmarshalJSON([]byte(broken)); err == nil {
			t.Errorf("%s was read without error", broken)
		}
	}
}

func FuzzObserve(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",null],"b":{"c":"2026-01-31T12:00:00Z"}}`), []byte(`{"a":[{}],"d":1e400}`))
	f.Add([]byte(`{"-":"https://example.com","a,b":{"\"":1},"ü":[[[]]]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var r Registry
		for _, detail := range [][]byte{first, second} {
			if !json.Valid(detail) {
				continue
			}
			event := inEnvelope("job", string(detail))
			s, _, err := r.Observe(event)
			if err != nil {
				continue // a number that is out of range
			}
			if err := s.Validate(event); err != nil {
				t.Fatalf("%s: %v", event, err)
			}
			if _, err := s.GoTypes("events"); err != nil {
				t.Fatalf("%s: %v", event, err)
			}
			for _, export := range []func() ([]byte, error){s.JSONSchema, s.OpenAPI} {
				if data, err := export(); err != nil || !json.Valid(data) {
					t.Fatalf("%s: %v", event, err)
				}
			}
		}
	})
}

// BenchmarkObserve is one more event of 12 KB of a known type.
func BenchmarkObserve(b *testing.B) {
	event := realEvents(b)["workflow_job-queued-7.json"]
	var r Registry
	observe(b, &r, event)
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		observe(b, &r, event)
	}
}

// inferJSON returns the shape of one JSON value.
func inferJSON(value []byte) (*Shape, error) {
	var tree any
	if err := decode(value, &tree); err != nil {
		return nil, err
	}
	return inferTree(tree), nil
}
