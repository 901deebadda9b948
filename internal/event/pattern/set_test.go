package pattern

import (
	"encoding/json"
	"fmt"
	"github.com/mayfly-ci/mayfly/internal/event/scan"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParse(t testing.TB, src string) *Pattern {
	t.Helper()
	p, err := Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSet(t *testing.T) {
	set := NewSet(map[string]*Pattern{
		"queued":    mustParse(t, `{"detail-type":["workflow_job"],"detail":{"action":["queued"]}}`),
		"completed": mustParse(t, `{"detail-type":["workflow_job"],"detail":{"action":["completed"]}}`),
		"live":      mustParse(t, `{"replay-name":[{"exists":false}]}`),
		"either":    mustParse(t, `{"$or":[{"source":["github.com"]},{"detail-type":["workflow_job"]}]}`),
	})
	tests := []struct {
		event string
		want  []string
	}{
		{`{"source":"github.com","detail-type":"workflow_job","detail":{"action":"queued"}}`, []string{"either", "live", "queued"}},
		{`{"source":"github.com","detail-type":"workflow_job","detail":{"action":"completed"},"replay-name":"r"}`, []string{"completed", "either"}},
		{`{"detail-type":"ping"}`, []string{"live"}},
		{`{"detail-type":"ping","replay-name":"r"}`, nil},
		{`{"detail-type":"workflow_job"`, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, set.Match([]byte(test.event))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.event, diff)
		}
	}
	if got := new(Set).Match([]byte(`{}`)); got != nil {
		t.Errorf("zero Set matches %v", got)
	}
}

func TestSetIsConcurrent(t *testing.T) {
	set := NewSet(rules(t, 20))
	event := workflowJob(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := set.Match(event); !cmp.Equal(got, []string{"rule-0000"}) {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestJSON(t *testing.T) {
	const src = `{ "a": ["x"] }`
	var holder struct{ Pattern *Pattern }
	if err := json.Unmarshal([]byte(`{"Pattern":`+src+`}`), &holder); err != nil {
		t.Fatal(err)
	}
	if got := holder.Pattern.String(); got != src {
		t.Errorf("String: got %s, want %s", got, src)
	}
	if got, err := json.Marshal(holder); err != nil || string(got) != `{"Pattern":{"a":["x"]}}` {
		t.Errorf("Marshal: got %s, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"Pattern":{}}`), &holder); err == nil {
		t.Error("an invalid pattern was read without error")
	}
}

// TestHostileEvents has events made to take much time or memory. Each is small
// work if the bounds hold, and hours or a stack overflow if they do not.
func TestHostileEvents(t *testing.T) {
	nested := func(n int, open, inner, closing string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
	}
	// Every element meets all clauses but never all at once.
	var elements strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&elements, `{"k%d":"x"},`, i%4)
	}
	apart := `{"a":[` + elements.String() + `{}],"b":[` + elements.String() + `{}]}`
	tests := []struct {
		name, pattern, event string
		want                 bool
	}{
		{"deep", `{"a":[1]}`, `{"b":` + nested(scan.MaxDepth-1, `[`, ``, `]`) + `,"a":1}`, true},
		{"too deep", `{"a":[1]}`, `{"b":` + nested(scan.MaxDepth, `[`, ``, `]`) + `,"a":1}`, false},
		{"deep on a path", `{"a":{"b":[1]}}`, `{"a":` + nested(scan.MaxDepth-2, `[`, `{"b":1}`, `]`) + `}`, true},
		{"one level too deep on a path", `{"a":{"b":[1]}}`, `{"a":` + nested(scan.MaxDepth-1, `[`, `{"b":1}`, `]`) + `}`, false},
		{"too deep for a stack", `{"a":[1]}`, `{"b":` + nested(10_000_000, `[`, ``, `]`) + `}`, false},
		{"too deep on a path", `{"a":{"b":[1]}}`, `{"a":` + nested(1_000_000, `[`, ``, `]`) + `}`, false},
		{"wildcard", `{"a":[{"wildcard":"` + strings.Repeat("*aaaa", 100) + `*b"}]}`, `{"a":"` + strings.Repeat("a", 1_000_000) + `"}`, false},
		{"one array", `{"a":{"k0":["x"],"k1":["x"],"k2":["x"],"k3":["x"]}}`, apart, false},
		{"two arrays", `{"a":{"k0":["x"]},"b":{"k0":["x"],"k1":["x"],"k2":["x"]}}`, apart, false},
		{"huge number", `{"a":[{"numeric":[">",0]}]}`, `{"a":1` + strings.Repeat("0", 1_000_000) + `}`, false},
		{"huge exponent", `{"a":[{"numeric":[">",0]}]}`, `{"a":1e` + strings.Repeat("9", 1_000_000) + `}`, false},
	}
	for _, test := range tests {
		if got := mustParse(t, test.pattern).Matches([]byte(test.event)); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// TestMatchesLikeOracle compares Pattern and Set with the plain way of doing it.
func TestMatchesLikeOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := make(map[string]*Pattern)
		for i, src := range rapid.SliceOfN(patternSource(), 1, 6).Draw(t, "patterns") {
			p, err := Parse([]byte(src))
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			patterns[fmt.Sprint(i)] = p
		}
		set := NewSet(patterns)
		for range 10 { // what one event leaves behind must not show in the next
			event := []byte(`{` + members(3).Draw(t, "event") + `}`)
			fields, err := flatten(event)
			if err != nil {
				t.Fatalf("%s: %v", event, err)
			}
			var want []string
			for i := range len(patterns) {
				p := patterns[fmt.Sprint(i)]
				expected := matches(p, fields)
				if expected {
					want = append(want, fmt.Sprint(i))
				}
				if got := p.Matches(event); got != expected {
					t.Errorf("%s on %s: got %v, want %v", p, event, got, expected)
				}
			}
			if got := set.Match(event); !cmp.Equal(got, want) {
				t.Errorf("set on %s: got %v, want %v", event, got, want)
			}
		}
	})
}

// names is few, so that patterns and events meet.
func names() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "c", "a", "b", "a.b", "\\u0061"})
}

func scalars() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		`"x"`, `"X"`, `"xy"`, `""`, `"\u0078"`, `1`, `1.0`, `2`, `-1e-7`, `12345678901`, `true`, `null`, `"10.0.0.1"`, `"::1"`,
	})
}

// members generates the inside of an object of an event.
func members(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var all []string
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			all = append(all, fmt.Sprintf(`"%s":%s`, names().Draw(t, "name"), values(depth).Draw(t, "value")))
		}
		return strings.Join(all, ",")
	})
}

func values(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			return `{` + members(depth-1).Draw(t, "members") + `}`
		case kind <= 1 && depth > 0:
			return `[` + strings.Join(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "elements"), " , ") + `]`
		}
		return scalars().Draw(t, "scalar")
	})
}

func patternSource() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return `{` + patternMembers(t, 2) + `}` })
}

func patternMembers(t *rapid.T, depth int) string {
	var all []string
	for range rapid.IntRange(1, 3).Draw(t, "fields") {
		switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			all = append(all, fmt.Sprintf(`"$or":[{%s},{%s}]`, patternMembers(t, depth-1), patternMembers(t, depth-1)))
		case kind <= 2 && depth > 0:
			all = append(all, fmt.Sprintf(`"%s":{%s}`, names().Draw(t, "name"), patternMembers(t, depth-1)))
		default:
			items := rapid.SliceOfN(rapid.OneOf(scalars(), expressions()), 1, 3).Draw(t, "list")
			all = append(all, fmt.Sprintf(`"%s":[%s]`, names().Draw(t, "name"), strings.Join(items, ",")))
		}
	}
	return strings.Join(all, ",")
}

func expressions() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		`{"prefix":"x"}`, `{"suffix":"y"}`, `{"equals-ignore-case":"x"}`, `{"wildcard":"*x*"}`, `{"exists":true}`, `{"exists":false}`,
		`{"anything-but":"x"}`, `{"anything-but":[1,2]}`, `{"anything-but":{"prefix":"x"}}`, `{"numeric":[">",1]}`, `{"cidr":"10.0.0.0/8"}`,
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"detail":{"a":["x",1,null,{"anything-but":{"prefix":["y"]}}],"$or":[{"b":[{"numeric":[">",0,"<=",5]}]},{"c":[{"cidr":"10.0.0.0/8"}]}]}}`))
	f.Add([]byte(`{"a":[{"wildcard":"a\\*b*"},{"prefix":{"equals-ignore-case":"\u00df"}},{"exists":false}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Parse(src)
		if err != nil {
			if fault, ok := err.(*SyntaxError); !ok || fault.Line < 1 || fault.Column < 1 || fault.Reason == "" || fault.Want == "" {
				t.Fatalf("%q: %#v", src, err)
			}
			return
		}
		if !json.Valid(src) {
			t.Fatalf("%q was parsed and is not JSON", src)
		}
		if _, err := Parse([]byte(p.String())); err != nil {
			t.Fatalf("%q: parsing String: %v", src, err)
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add([]byte(`{"a":[{"anything-but":"x"}],"b":{"c":[{"exists":false}]}}`), []byte(`{"a":["x","y"],"b":[{"d":1e5},[{"c":null}]]}`))
	f.Add([]byte(`{"a.b":["x",5,true,{"numeric":["<",3]}]}`), []byte(` {"\u0061":{"b":-0.5e1},"a.b":"\ud83d\ude00"} `))
	f.Add([]byte(`{"a":{"k":["x"],"v":[1]}}`), []byte(`{"a":[{"k":"x","v":2},{"k":"y","v":1}]}`))
	f.Fuzz(func(t *testing.T, src, event []byte) {
		p, err := Parse(src)
		if err != nil || !utf8.Valid(event) || len(event) > 500 {
			return // the oracle replaces what is not UTF-8, and takes its time
		}
		fields, err := flatten(event)
		want := err == nil && matches(p, fields)
		if got := p.Matches(event); got != want {
			t.Fatalf("%q on %q: got %v, want %v", src, event, got, want)
		}
	})
}
