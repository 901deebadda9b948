package githubsim

import (
	"net/url"
	"strings"
	"time"
)

// asked reports whether a list of runs with the query q has r. A status is one of
// both kinds: queued or failure.
// https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
func (r *run) asked(q url.Values) bool {
	is := func(name string, values ...string) bool {
		want := q.Get(name)
		for _, v := range values {
			if v == want {
				return true
			}
		}
		return want == ""
	}
	return is("status", r.Status, r.Conclusion) && is("head_sha", r.SHA) && is("event", r.Event) && is("branch", r.branch()) &&
		is("actor", sender) && is("check_suite_id", itoa(r.ID)) && within(q.Get("created"), r.Created)
}

// within reports whether t is in a range of GitHub's search: a day, a time, one with
// > or < before it, or two with .. between them, of which one may be *.
// https://docs.github.com/en/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax#query-for-dates
func within(text string, t time.Time) bool {
	if text == "" {
		return true
	}
	if from, to, found := strings.Cut(text, ".."); found {
		return (from == "*" || !t.Before(moment(from, false))) && (to == "*" || !t.After(moment(to, true)))
	}
	for _, c := range []struct {
		sign string
		ok   func(text string) bool
	}{
		{">=", func(text string) bool { return !t.Before(moment(text, false)) }},
		{"<=", func(text string) bool { return !t.After(moment(text, true)) }},
		{">", func(text string) bool { return t.After(moment(text, true)) }},
		{"<", func(text string) bool { return t.Before(moment(text, false)) }},
	} {
		if rest, found := strings.CutPrefix(text, c.sign); found {
			return c.ok(rest)
		}
	}
	return !t.Before(moment(text, false)) && !t.After(moment(text, true))
}

// moment reads a day or a time; of a day its begin or its end.
func moment(text string, end bool) time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}
	}
	if end {
		return day.Add(24*time.Hour - time.Nanosecond)
	}
	return day
}
