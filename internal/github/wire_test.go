package github

import (
	"errors"
	"net/http"
	"testing"
)

// TestLink reads the header of GitHub's pages.
// https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api#using-link-headers
func TestLink(t *testing.T) {
	middle := http.Header{"Link": {`<https://api.github.com/repositories/1300192/issues?page=2>; rel="prev", ` +
		`<https://api.github.com/repositories/1300192/issues?page=4>; rel="next", ` +
		`<https://api.github.com/repositories/1300192/issues?page=515>; rel="last", ` +
		`<https://api.github.com/repositories/1300192/issues?page=1>; rel="first"`}}
	for rel, want := range map[string]string{"prev": "2", "next": "4", "last": "515", "first": "1", "none": ""} {
		if got := link(middle, rel).Get("page"); got != want {
			t.Errorf("page of %s: %q, want %q", rel, got, want)
		}
	}
	cursor := http.Header{"Link": {`<https://api.github.com/orgs/acme/hooks/7/deliveries?per_page=100&cursor=v1_17323292984>; rel="next"`}}
	if got := link(cursor, "next").Get("cursor"); got != "v1_17323292984" {
		t.Errorf("cursor %q", got)
	}
	if got := link(http.Header{}, "next"); got.Has("page") {
		t.Errorf("no header names %v", got)
	}
}

// TestTraversal: part of a path may come from an event, and must not lead to another call.
func TestTraversal(t *testing.T) {
	c := &Client{at: address{api: "https://api.github.com/"}}
	for path, wrong := range map[string]bool{
		"repos/acme/web/actions/runs":   false,
		"repos/acme/we..b/actions":      false,
		"repos/acme/../../user/repos":   true,
		"repos/acme/%2e%2e/user/repos":  true,
		"repos/acme/web/contents?ref=x": false,
	} {
		_, err := c.newRequest(t.Context(), request{method: http.MethodGet, path: path})
		if errors.Is(err, errTraversal) != wrong {
			t.Errorf("%s: %v", path, err)
		}
	}
}
