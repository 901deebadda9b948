package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// Pauses between attempts: the socket is gone while Mayfly restarts.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 2 * time.Second
)

// callLimit bounds one attempt; a claim is answered within 70 s or never.
const callLimit = 90 * time.Second

// maxAnswer is far more than a JIT configuration needs.
const maxAnswer = 1 << 20

// A Channel reaches the server of claims, and identifies the caller.
type Channel struct {
	URL       string // prefix of the protocol's paths
	Transport http.RoundTripper
}

// Socket returns the channel of a runner on one machine: the claim socket at path.
func Socket(path string) Channel {
	var dialer net.Dialer
	return Channel{URL: "http://claim", Transport: &http.Transport{
		DisableKeepAlives: true, // calls are few, and the server counts connections
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
	}}
}

// A client speaks the claim protocol over a channel.
type client struct {
	url  string
	http *http.Client
}

func newClient(c Channel) *client {
	return &client{strings.TrimSuffix(c.URL, "/"), &http.Client{Timeout: callLimit, Transport: c.Transport}}
}

// claim claims until the answer is final or ctx ends. A refusal is a *[claim.Refused].
func (c *client) claim(ctx context.Context) (claim.Grant, error) {
	var grant claim.Grant
	err := persist(ctx, func() error { return c.post(ctx, claim.PathClaim, struct{}{}, &grant) })
	if err == nil && grant.JIT == "" {
		err = &claim.Refused{Reason: "the grant holds no configuration"}
	}
	return grant, err
}

// report makes one attempt to report r.
func (c *client) report(ctx context.Context, r claim.Report) error {
	return c.post(ctx, claim.PathReport, r, nil)
}

// insist reports r until it is accepted or refused, or ctx ends.
func (c *client) insist(ctx context.Context, r claim.Report) error {
	return persist(ctx, func() error { return c.report(ctx, r) })
}

func (c *client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	return read(res, answer, out)
}

// read decodes an answer into out or into the error it represents. Between the agent and a claim
// function is a service with answers of its own: when it is busy (429), when the function fails
// (5xx), and when it does not know the role yet (403 without one of our reasons). All of those are
// temporary.
func read(res *http.Response, answer []byte, out any) error {
	var refusal claim.Refusal
	unread := json.Unmarshal(answer, &refusal) != nil || refusal.Reason == ""
	switch code := res.StatusCode; {
	case code == http.StatusOK:
		return json.Unmarshal(answer, out)
	case code == http.StatusNoContent:
		return nil
	case code == http.StatusConflict:
		return claim.ErrBusy
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusForbidden && unread:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // 0 when there is none
		return &claim.Later{After: time.Duration(seconds) * time.Second, Err: errors.New(res.Status)}
	case unread:
		refusal.Reason = "answered " + res.Status
	}
	return &claim.Refused{Reason: refusal.Reason}
}

// persist calls f until its error is nil or final. It gives up when ctx ends, or would end before
// the next call.
func persist(ctx context.Context, f func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := f()
		var refused *claim.Refused
		if err == nil || errors.As(err, &refused) || errors.Is(err, claim.ErrBusy) {
			return err
		}
		wait := pause
		if later := (*claim.Later)(nil); errors.As(err, &later) {
			wait = max(wait, later.After)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
			return fmt.Errorf("giving up, the next attempt would be too late: %w", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
