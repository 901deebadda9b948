package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

const (
	maxAnswer  = 16 << 20 // bytes
	maxMessage = 300      // bytes of Gitea's words that an error keeps
	pageSize   = 50       // Gitea gives no more at once, whatever is asked for (modules/setting/api.go)
	maxPages   = 200
)

// A request is one call of the API.
type request struct {
	doing  string // for errors
	method string
	path   string // below /api/v1/
	root   bool   // path is below the address itself, and takes no token: that of runners
	body   any    // JSON; nil for none
	into   any    // what the answer is read into; nil for none
	needs  string // scope of the token
}

// do makes a call. A redirect is an ErrNotFound: the repository has a new name.
func (c *Client) do(ctx context.Context, r request) error {
	if !forge.Spend(ctx) {
		return &forge.Error{Doing: r.doing, Kind: forge.ErrSpent}
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return r.unanswered(ctx, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return r.unanswered(ctx, err)
	case res.StatusCode/100 != 2:
		return r.refused(res, answer)
	case r.into == nil:
		return nil
	}
	if err := json.Unmarshal(answer, r.into); err != nil {
		return &forge.Error{Doing: r.doing, Status: res.StatusCode, Kind: forge.ErrUnavailable, Lost: r.method != http.MethodGet, Message: "answer is no JSON of this call"}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.doing, err)
		}
		body = bytes.NewReader(text)
	}
	address := c.web + "/api/v1/" + r.path
	if r.root {
		address = c.web + "/" + r.path
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.doing, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "mayfly")
	if !r.root {
		req.Header.Set("Authorization", "token "+c.config.Token.Reveal())
	}
	return req, nil
}

// unanswered is the error of a call without an answer.
func (r request) unanswered(ctx context.Context, err error) error {
	e := &forge.Error{Doing: r.doing, Kind: forge.ErrUnavailable, Lost: r.method != http.MethodGet, Message: clip(err.Error())}
	if ctx.Err() != nil {
		e.Kind, e.Message = context.Cause(ctx), ""
	}
	return e
}

// refused is the error of an answer that is no success.
func (r request) refused(res *http.Response, answer []byte) error {
	e := &forge.Error{Doing: r.doing, Status: res.StatusCode, Kind: kindOf(res), Message: message(res, answer)}
	e.Lost = res.StatusCode >= 500 && r.method != http.MethodGet
	switch e.Kind {
	case forge.ErrUnauthorized:
		e.Advice = "check that the token is neither removed nor of a user who may no longer sign in"
	case forge.ErrForbidden:
		e.Advice = "the token needs the scope " + r.needs + ", and its user must own the organization or administer the repository"
	case forge.ErrNotFound:
		e.Advice = "check that it is there and that the token's user sees it; the call needs the scope " + r.needs
	}
	return e
}

// kindOf is the one table from statuses to sentinels. A proxy in front of Gitea may limit calls.
func kindOf(res *http.Response) error {
	switch status := res.StatusCode; {
	case status == http.StatusTooManyRequests:
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			seconds = 60
		}
		return &forge.RateLimited{Until: time.Now().Add(time.Duration(seconds) * time.Second)}
	case status == http.StatusUnauthorized:
		return forge.ErrUnauthorized
	case status == http.StatusForbidden:
		return forge.ErrForbidden
	case status == http.StatusNotFound, status == http.StatusGone, status/100 == 3:
		return forge.ErrNotFound
	case status == http.StatusConflict:
		return forge.ErrConflict
	case status >= 500:
		return forge.ErrUnavailable
	}
	return forge.ErrUnprocessable
}

// message takes Gitea's words from an answer.
func message(res *http.Response, answer []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(answer, &e) != nil || e.Message == "" {
		return http.StatusText(res.StatusCode)
	}
	return clip(e.Message)
}

func clip(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "") }

// list reads the pages of a list until one is not full, or each says that it is enough.
func list[T any](ctx context.Context, c *Client, r request, each func(page T) (n int, more bool)) error {
	sep := "?"
	if strings.Contains(r.path, "?") {
		sep = "&"
	}
	path := r.path
	for n := 1; n <= maxPages; n++ {
		var page T
		r.path, r.into = fmt.Sprintf("%s%spage=%d&limit=%d", path, sep, n, pageSize), &page
		if err := c.do(ctx, r); err != nil {
			return err
		}
		if got, more := each(page); got < pageSize || !more {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", r.doing, errors.New("the list does not end"))
}

// placePath is where s is in the API.
func placePath(doing string, s forge.Scope) (string, error) {
	switch s.Kind {
	case forge.OfRepository:
		return "repos/" + s.String(), nil
	case forge.OfOrganization:
		return "orgs/" + s.String(), nil
	}
	return "", fmt.Errorf("%s: Gitea has no such place as %q: want an organization or a repository", doing, s)
}

// Scopes of a token.
// https://docs.gitea.com/development/oauth2-provider#scopes
func scopeFor(s forge.Scope) string {
	if s.Kind == forge.OfOrganization {
		return "write:organization"
	}
	return "write:repository"
}
