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

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image"
)

// A Feed looks up releases. Its methods are safe for concurrent use.
type Feed struct {
	Product   forge.Product     // whose releases
	URL       string            // of the API, or of a mirror of it; the product's own if empty
	Downloads string            // of its files, which may have checksums beside them; the product's own if empty
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
	data, header, err := f.get(ctx, f.api("/latest"), etag)
	if errors.Is(err, errUnchanged) {
		return image.Unchanged{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for the newest release: %w", err)
	}
	r, err := Parse(f.Product, data)
	if err == nil && f.Product.SumBeside {
		r.SHA256, err = f.sumsBeside(ctx, r.Version)
	}
	if err != nil {
		return nil, err
	}
	return image.Released{Release: r, ETag: header.Get("ETag")}, nil
}

// Earlier looks up the releases of the last months, without checksums. Their dates tell how long
// GitHub accepts a version: until 30 days after the next one was published. It returns none for a
// product that is lasting.
func (f Feed) Earlier(ctx context.Context) ([]image.Release, error) {
	if f.Product.Lasting {
		return nil, nil
	}
	data, _, err := f.get(ctx, f.api("?per_page=30"), "")
	if err != nil {
		return nil, fmt.Errorf("asking for earlier releases: %w", err)
	}
	var list []listing
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading earlier releases: %w", err)
	}
	var all []image.Release
	for _, l := range list {
		if r, err := l.release(f.Product); err == nil { // skip drafts and tags of other kinds
			all = append(all, r)
		}
	}
	return all, nil
}

// api is the address of the product's releases.
func (f Feed) api(rest string) string {
	return strings.TrimSuffix(cmp.Or(f.URL, f.Product.Feed), "/") + f.Product.Releases + rest
}

// sumsBeside reads the checksums of the files of a version, which are in files beside them.
func (f Feed) sumsBeside(ctx context.Context, v image.Version) (map[string]string, error) {
	sums := map[string]string{}
	for arch := range platforms {
		at := strings.TrimSuffix(cmp.Or(f.Downloads, f.Product.Downloads), "/") + "/" + f.Product.Path(string(v), arch) + ".sha256"
		data, _, err := f.get(ctx, at, "")
		if err != nil {
			return nil, fmt.Errorf("asking for the checksum of release %s: %w", v, err)
		}
		of, _, _ := strings.Cut(string(data), " ") // as sha256sum prints it
		if !sum.MatchString(strings.TrimSpace(of)) {
			return nil, fmt.Errorf("release %s: %w: %s: %.80q is no SHA-256", v, ErrChecksums, at, data)
		}
		sums[arch] = strings.TrimSpace(of)
	}
	return sums, nil
}

var errUnchanged = errors.New("unchanged")

// maxAnswer bounds an answer, in bytes. The notes of a release take some kilobytes.
const maxAnswer = 8 << 20

// get makes one request.
func (f Feed) get(ctx context.Context, at, etag string) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.Timeout, 20*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/vnd.github+json") // which others do not mind
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
