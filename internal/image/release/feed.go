package release

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// GitHub is the address of the feed.
const GitHub = "https://api.github.com"

// A Feed looks up releases. Its methods are safe for concurrent use.
type Feed struct {
	URL       string            // of the API, or of a mirror of it; [GitHub] if empty
	Transport http.RoundTripper // nil for http.DefaultTransport
	Timeout   time.Duration     // of a request, including its answer; 0 means 20 s
	Now       func() time.Time  // nil for time.Now
}

// Limited means that the feed refuses requests from this address until a time.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
type Limited struct{ Until time.Time }

func (e *Limited) Error() string {
	return "rate limit of the releases feed: no requests before " + e.Until.UTC().Format(time.RFC3339)
}

// Latest looks up the newest release. It returns [image.Unchanged] if that is the one of etag, else
// [image.Released]. The error is [*Limited], wraps [ErrChecksums], or means that there was no
// answer.
func (f Feed) Latest(ctx context.Context, etag string) (image.Input, error) {
	data, header, err := f.get(ctx, "/repos/actions/runner/releases/latest", etag)
	if errors.Is(err, errUnchanged) {
		return image.Unchanged{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for the newest release: %w", err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, err
	}
	return image.Released{Release: r, ETag: header.Get("ETag")}, nil
}

// Earlier looks up the releases of the last months, without checksums. Their dates tell how long
// GitHub accepts a version: until 30 days after the next one was published.
func (f Feed) Earlier(ctx context.Context) ([]image.Release, error) {
	data, _, err := f.get(ctx, "/repos/actions/runner/releases?per_page=30", "")
	if err != nil {
		return nil, fmt.Errorf("asking for earlier releases: %w", err)
	}
	var list []listing
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading earlier releases: %w", err)
	}
	var all []image.Release
	for _, l := range list {
		if r, err := l.release(); err == nil { // skip drafts and tags of other kinds
			all = append(all, r)
		}
	}
	return all, nil
}

var errUnchanged = errors.New("unchanged")

// maxAnswer bounds an answer, in bytes. The notes of a release take some kilobytes.
const maxAnswer = 8 << 20

// get makes one request.
func (f Feed) get(ctx context.Context, path, etag string) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.Timeout, 20*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cmp.Or(f.URL, GitHub), "/")+path, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "mayfly")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := (&http.Client{Transport: f.Transport}).Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // callers add the address
		}
		return nil, nil, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxAnswer))
	switch {
	case res.StatusCode == http.StatusNotModified && etag != "":
		return nil, nil, errUnchanged
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusTooManyRequests:
		return nil, nil, f.limited(res)
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("%s: %s", req.URL.Host, res.Status)
	}
	return data, res.Header, err
}

// Bounds of a limit's duration, whatever the answer says, and its duration if the answer says
// nothing.
const (
	longestLimit = 2 * time.Hour
	usualLimit   = 15 * time.Minute
)

// limited reads how long a refusal lasts: Retry-After, or until the end of the hour if no request
// of that hour is left.
func (f Feed) limited(res *http.Response) error {
	now := time.Now
	if f.Now != nil {
		now = f.Now
	}
	begin := now()
	until := begin.Add(usualLimit)
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		until = begin.Add(time.Duration(seconds) * time.Second)
	} else if reset, err := strconv.ParseInt(res.Header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && res.Header.Get("X-Ratelimit-Remaining") == "0" {
		until = time.Unix(reset, 0)
	}
	switch {
	case until.Before(begin):
		until = begin.Add(time.Minute)
	case until.After(begin.Add(longestLimit)):
		until = begin.Add(longestLimit)
	}
	return &Limited{Until: until}
}
