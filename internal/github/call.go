package github

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// A request is one call of the API, before it is made.
type request struct {
	doing    string // the purpose, for messages
	scope    Scope
	method   string
	path     string // below the API's root, including the query
	body     any    // nil: none
	into     any    // where the answer's JSON is decoded to; nil: nowhere
	priority priority
	needs    string        // permission, for hints
	group    string        // runner group, for hints
	kinds    map[int]error // statuses that mean something else here
	plain    bool          // the answer is text, into is a *string, and may be on another host
}

// retries is how often a call is repeated if that is safe.
const retries = 3

// do makes the call r with the credential for its scope. If GitHub rejects an installation, do
// looks it up again and repeats the call once: the App may have been reinstalled.
func (c *Client) do(ctx context.Context, r request) (http.Header, error) {
	if r.scope.Kind == nowhere {
		return nil, fmt.Errorf("%s: scope is empty: want a repository, an organisation or an enterprise", r.doing)
	}
	for again := true; ; again = false {
		cred, err := c.acting(ctx, r.scope)
		if err != nil {
			return nil, callerError(ctx, r, err)
		}
		res, err := c.doAs(ctx, cred, r)
		if !again || !errors.Is(err, ErrUnauthorized) || !c.renew(ctx, r.scope, cred) {
			return res, err
		}
	}
}

// callerError turns err into an Error if ctx's end caused it.
func callerError(ctx context.Context, r request, err error) error {
	var e *Error
	if errors.As(err, &e) || ctx.Err() == nil {
		return err
	}
	return &Error{Doing: r.doing, Kind: ctx.Err()}
}

// doAs makes the call r with cred, and repeats it where that is safe. A call that failed only
// because of this machine's clock is repeated once, at once and besides the retries.
func (c *Client) doAs(ctx context.Context, cred *credential, r request) (http.Header, error) {
	if !forge.Spend(ctx) {
		return nil, &Error{Doing: r.doing, Kind: forge.ErrSpent}
	}
	for try, corrected := 0, false; ; try++ {
		thought := c.clock.ahead()
		res, err := c.attempt(ctx, cred, r)
		if err == nil {
			return res, nil
		}
		if !corrected && c.isMistimed(err, thought) { // rejected unseen, so repeating is safe even for a POST
			corrected = true
			c.config.Log.Warn("this machine's clock differs from GitHub's; signing with GitHub's time", "ahead", c.clock.ahead())
			continue
		}
		if try == retries || !mayRetry(r, err) || !c.pause(ctx, try) {
			return nil, err
		}
		c.config.Log.Debug("calling GitHub again", "err", err)
	}
}

// isMistimed reports whether err is due to a signature with a wrong time: the answer corrected the clock's
// skew, which was thought when the call was signed.
func (c *Client) isMistimed(err *Error, thought time.Duration) bool {
	return c.key != nil && err.Status == http.StatusUnauthorized && (c.clock.ahead()-thought).Abs() > leastSkew
}

// mayRetry reports whether repeating r is useful and safe. A POST that may have reached GitHub
// is not repeated, because it could register a second runner.
func mayRetry(r request, err *Error) bool {
	return errors.Is(err, ErrUnavailable) && (r.method != http.MethodPost || !err.Lost)
}

// pause waits before the next try, twice as long each time, with jitter. It reports false if
// ctx ended.
func (c *Client) pause(ctx context.Context, try int) bool {
	full := float64(c.config.Backoff << try)
	timer := time.NewTimer(time.Duration(full/2 + full/2*c.config.Jitter()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt makes the call r once.
func (c *Client) attempt(ctx context.Context, cred *credential, r request) (http.Header, *Error) {
	leave, err := cred.budget.enter(ctx, r.priority)
	if err != nil {
		return nil, &Error{Doing: r.doing, Kind: err}
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Timeout, errTimeout)
	defer cancel()
	if err := cred.refresh(ctx); err != nil {
		return nil, c.failed(ctx, cred, tokenRequest(r), tokenAnswer(err), err, false)
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, &Error{Doing: r.doing, Kind: ErrUnprocessable, Message: err.Error()}
	}
	res, err := cred.http.Do(req)
	if at := elsewhere(r, res); at != "" {
		res.Body.Close()
		res, err = c.fetch(ctx, at)
	}
	if err != nil || res.StatusCode/100 != 2 {
		return nil, c.failed(ctx, cred, r, res, err, sent.Load())
	}
	defer res.Body.Close()
	c.observe(cred, res.Header)
	if err := decode(res.Body, r.into); err != nil {
		return nil, c.failed(ctx, cred, r, nil, err, true)
	}
	return res.Header, nil
}

// observe reads GitHub's limits and clock from the header of an answer.
func (c *Client) observe(cred *credential, h http.Header) {
	cred.budget.observe(h)
	c.clock.observe(h)
}

var errTimeout = errors.New("no answer in time")

// tokenRequest describes, for errors, the call for a token that ghinstallation makes before r.
func tokenRequest(r request) request {
	return request{
		doing: r.doing + ": asking for an installation token", scope: r.scope,
		method: http.MethodGet, needs: "to be installed there",
		kinds: map[int]error{http.StatusNotFound: ErrUnauthorized}, // the App was uninstalled
	}
}

// failed turns a failed attempt into an Error. res is the answer, or nil if there was none or its
// body broke off; then err says why. sent says whether GitHub may have received the request, so
// that a call with an effect may have had it ([Error.Lost]).
func (c *Client) failed(ctx context.Context, cred *credential, r request, res *http.Response, err error, sent bool) *Error {
	if res != nil {
		e := answerError(r, res, c.config.Clock.Now())
		c.observe(cred, res.Header)
		var limit *RateLimited
		if errors.As(e, &limit) {
			cred.budget.limited(limit.Until)
			c.config.Log.Warn("GitHub's rate limit is reached", "until", limit.Until, "err", e)
		}
		return e
	}
	e := &Error{Doing: r.doing, Kind: ErrUnavailable, Lost: sent && r.method != http.MethodGet}
	switch cause := context.Cause(ctx); {
	case cause == errTimeout:
		e.Message = fmt.Sprintf("no answer in %v", c.config.Timeout)
	case cause != nil:
		e.Kind = ctx.Err()
	default:
		e.Message = networkMessage(err)
		if errors.As(err, new(x509.UnknownAuthorityError)) {
			e.Advice = "if a private CA issued the server's certificate, set github.ca_file to the CA's certificate"
		}
	}
	return e
}

// networkMessage returns the message of err without what net/http and ghinstallation wrap around it.
func networkMessage(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var token *ghinstallation.HTTPError
	if errors.As(err, &token) && token.RootCause != nil {
		err = token.RootCause
	}
	return err.Error()
}

// elsewhere returns the address of r's answer if GitHub redirects to another host, else "".
func elsewhere(r request, res *http.Response) string {
	if !r.plain || res == nil || res.StatusCode != http.StatusFound {
		return ""
	}
	return res.Header.Get("Location")
}

// fetch gets an answer from another host, without a credential: the address itself is signed,
// and the credential must not leave GitHub.
func (c *Client) fetch(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return c.transport.RoundTrip(req)
}

// decode reads all of body, so that the connection can be used again.
func decode(body io.Reader, into any) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch text, isText := into.(*string); {
	case into == nil:
		return nil
	case isText:
		*text = string(data)
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// pageSize is GitHub's maximum.
const pageSize = 100

// maxPages bounds a list whose pages link in a circle.
const maxPages = 10_000

// list reads the pages of r, each of type P, and passes them to take until it returns false.
func list[P any](ctx context.Context, do func(context.Context, request) (http.Header, error), r request, take func(P) (more bool)) error {
	u, err := url.Parse(r.path)
	if err != nil {
		return err
	}
	query := u.Query()
	query.Set("per_page", strconv.Itoa(pageSize))
	for range maxPages {
		u.RawQuery = query.Encode()
		var page P
		r.path, r.into = u.String(), &page
		header, err := do(ctx, r)
		if err != nil {
			return err
		}
		next := link(header, "next")
		switch more := take(page); {
		case more && next.Has("cursor"):
			query.Set("cursor", next.Get("cursor"))
		case more && next.Has("page"):
			query.Set("page", next.Get("page"))
		default:
			return nil
		}
	}
	return fmt.Errorf("%s: more than %d pages", r.doing, maxPages)
}
