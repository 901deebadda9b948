package github_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
)

func TestParseScope(t *testing.T) {
	for _, good := range []string{"acme/web", "acme", "enterprises/acme", "Acme-Corp/web.site_2", "a/.github"} {
		s, err := github.ParseScope(good)
		if err != nil || s.String() != good {
			t.Errorf("ParseScope(%q) = %q, %v", good, s, err)
		}
	}
	for _, bad := range []string{"", "/", "acme/", "/web", "acme/web/x", "enterprises/", "enterprises/a/b", "a b", "../x", "acme/..", ".", "acme/.", "acme?x", "acme/we%62", "é", strings.Repeat("a", 101)} {
		s, err := github.ParseScope(bad)
		if err == nil || !strings.Contains(err.Error(), "such as acme/web") || s != (github.Scope{}) {
			t.Errorf("ParseScope(%q) = %q, %v, want an error that says what is wanted", bad, s, err)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"acme/web", "acme", "enterprises/acme", "../..", "a/b/c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := github.ParseScope(s)
		if err != nil {
			return
		}
		if parsed.String() != s {
			t.Errorf("ParseScope(%q).String() = %q", s, parsed)
		}
		if strings.ContainsAny(s, "%?#\\ \n") || strings.Count(s, "/") > 1 {
			t.Errorf("ParseScope(%q) is no error", s)
		}
		var again github.Scope
		if data, err := json.Marshal(parsed); err != nil || json.Unmarshal(data, &again) != nil || again != parsed {
			t.Errorf("%q became %q through JSON", parsed, again)
		}
	})
}
