package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// apiVersion is the version of the REST API that this package speaks.
// https://docs.github.com/en/rest/about-the-rest-api/api-versions
const apiVersion = "2022-11-28"

// errTraversal is the error for a path with "..": parts of paths come from events, and must not
// lead a credential to another call.
var errTraversal = errors.New(`path contains ".."`)

// newRequest returns the HTTP request for r, without a credential.
func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.at.api+r.path, body)
	if err != nil {
		return nil, err
	}
	if slices.Contains(strings.Split(req.URL.Path, "/"), "..") { // also if it was escaped
		return nil, errTraversal
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "mayfly")
	req.Header.Set("X-Github-Api-Version", apiVersion)
	return req, nil
}

// link returns the query of the page that a list's header names as rel, such as next or last; none
// if it names no such page.
// https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api#using-link-headers
func link(h http.Header, rel string) url.Values {
	for one := range strings.SplitSeq(h.Get("Link"), ",") {
		address, parameters, _ := strings.Cut(strings.TrimSpace(one), ";")
		u, err := url.Parse(strings.Trim(address, "<>"))
		if err == nil && slices.Contains(strings.Split(strings.ReplaceAll(parameters, " ", ""), ";"), `rel="`+rel+`"`) {
			return u.Query()
		}
	}
	return nil
}
