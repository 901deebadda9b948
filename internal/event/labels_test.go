package event

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFlatLabels(t *testing.T) {
	for _, test := range []struct {
		labels []string
		want   string
	}{
		{nil, ""}, {[]string{""}, "%"}, {[]string{"", ""}, "%,%"},
		{[]string{"self-hosted", "Linux", "x64"}, "self-hosted,Linux,x64"},
		{[]string{"a,b,c", "d", "e"}, "a%2Cb%2Cc,d,e"},
		{[]string{"Small ", "50%", "%2C", "%"}, "Small ,50%25,%252C,%25"},
		{[]string{`runs-on=1/runner=2cpu`, `"a\b<job>`}, `runs-on=1/runner=2cpu,%22a%5Cb%3Cjob%3E`},
		{[]string{"größe", "a\nb"}, "größe,a%0Ab"},
	} {
		got := FlatLabels(test.labels)
		if again := ParseLabels(got); got != test.want || !slices.Equal(again, test.labels) {
			t.Errorf("%q: %q, read as %q: want %q", test.labels, got, again, test.want)
		}
	}
	for flat, want := range map[string][]string{"linux,50%": {"linux", "50%"}, "100%zz": {"100%zz"}} { // of an earlier version
		if got := ParseLabels(flat); !slices.Equal(got, want) {
			t.Errorf("%q: %q: want %q", flat, got, want)
		}
	}
}

func TestShowLabels(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for _, test := range []struct {
		labels []string
		want   string
	}{
		{nil, ""}, {[]string{"self-hosted", "linux"}, "self-hosted, linux"}, {[]string{"Small ", "a,b,c", "x"}, `"Small ", "a,b,c", x`},
		{[]string{"", `"`, "a\u202eb"}, `"", "\"", "a\u202eb"`}, {[]string{long}, strings.Repeat("é", 50) + "…"},
		{slices.Repeat([]string{"x"}, 23), strings.Repeat("x, ", 20) + "and 3 more"},
	} {
		if got := ShowLabels(test.labels); got != test.want {
			t.Errorf("%.60q: %s: want %s", test.labels, got, test.want)
		}
	}
}

// FuzzFlatLabels: whatever is in two labels, they stay those two.
func FuzzFlatLabels(f *testing.F) {
	f.Add("a,b", "")
	f.Add("%", "%2C")
	f.Fuzz(func(t *testing.T, a, b string) {
		labels := []string{a, b}
		flat := FlatLabels(labels)
		if got := ParseLabels(flat); !slices.Equal(got, labels) || strings.ContainsAny(flat, "\"\\\n") {
			t.Errorf("%q: %q, %q", labels, flat, got)
		}
		if shown := ShowLabels(labels); utf8.ValidString(a) && utf8.ValidString(b) && !utf8.ValidString(shown) {
			t.Errorf("%q: %q", labels, shown)
		}
	})
}
