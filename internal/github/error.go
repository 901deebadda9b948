package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What can go wrong with a call, for errors.Is. A call that waits for GitHub to
// be ready again is told by [RateLimited].
var (
	ErrUnauthorized  = errors.New("credential is not accepted")            // 401
	ErrForbidden     = errors.New("credential may not do this")            // 403
	ErrNotFound      = errors.New("not there, or not for this credential") // 404, 410, moved
	ErrConflict      = errors.New("name is taken")                         // 409
	ErrUnprocessable = errors.New("request is not accepted")               // 400, 422 and other 4xx
	ErrBusy          = errors.New("runner has a job")                      // 422 when a runner is removed
	ErrUnavailable   = errors.New("GitHub is not available")               // 5xx, network, timeout
	ErrByHand        = errors.New("GitHub has no call for this")           // see [Client.ByHand]

	// ErrNoWebhook is an ErrNotFound that GitHub did not say: it told of its webhooks, and
	// the one that is looked for is not among them.
	ErrNoWebhook = fmt.Errorf("no such webhook: %w", ErrNotFound)

	// ErrLost comes with ErrUnavailable, or with the context's error, when the
	// request may have had its effect: it was sent and no answer, or a 5xx, came back.
	ErrLost = errors.New("answer was lost")
)

// RateLimited says that GitHub takes no calls of this credential before Until;
// so does the client itself in the meantime. Find it with errors.As.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
type RateLimited struct {
	Until time.Time
}

func (e *RateLimited) Error() string {
	return "rate limit: no calls before " + e.Until.UTC().Format(time.RFC3339)
}

// An Error is a call that failed. It unwraps to one of the sentinels, to a
// [*RateLimited], or to the error of the caller's context.
type Error struct {
	Doing   string // what the call was for, such as `registering runner "r1" at acme/web`
	Status  int    // of the answer; 0 without one
	Message string // GitHub's own words, or those of the network; at most 300 bytes
	Request string // GitHub's X-GitHub-Request-Id, for its support
	Lost    bool   // as ErrLost
	Kind    error

	hint string
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Doing, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	if e.Lost {
		fmt.Fprintf(&b, "; it may have had its effect")
	}
	return b.String()
}

// Hint is the next thing to do for a person, or "".
func (e *Error) Hint() string { return e.hint }

// Unwrap returns e.Kind.
func (e *Error) Unwrap() error { return e.Kind }

// Is makes errors.Is(err, ErrLost) answer.
func (e *Error) Is(target error) bool { return target == ErrLost && e.Lost }

// maxMessage is how much of GitHub's words an error keeps, in bytes.
const maxMessage = 300

// answerError turns an answer that is no success into an Error for r. It reads
// and closes the body.
func answerError(r request, res *http.Response, now time.Time) *Error {
	e := &Error{Doing: r.doing, Status: res.StatusCode, Message: message(res), Request: res.Header.Get("X-Github-Request-Id")}
	e.Kind = kindOf(res, e.Message, now)
	if kind, ok := r.kinds[res.StatusCode]; ok {
		e.Kind = kind
	}
	e.Lost = res.StatusCode >= 500 && r.method != http.MethodGet
	e.hint = hint(e, r)
	return e
}

// kindOf is the one table from statuses to sentinels.
func kindOf(res *http.Response, message string, now time.Time) error {
	switch status := res.StatusCode; {
	case isRateLimit(res, message):
		return &RateLimited{Until: limitEnd(res.Header, now)}
	case status == http.StatusUnauthorized:
		return ErrUnauthorized
	case status == http.StatusForbidden:
		return ErrForbidden
	case status == http.StatusNotFound, status == http.StatusGone, status/100 == 3:
		return ErrNotFound
	case status == http.StatusConflict:
		return ErrConflict
	case status >= 500:
		return ErrUnavailable
	}
	return ErrUnprocessable
}

// isRateLimit tells both kinds of rate limit, the hourly and the secondary one,
// from a lack of permission, for which GitHub uses the same status.
func isRateLimit(res *http.Response, message string) bool {
	if res.StatusCode == http.StatusTooManyRequests {
		return true
	}
	return res.StatusCode == http.StatusForbidden &&
		(res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0" ||
			strings.Contains(strings.ToLower(message), "rate limit"))
}

// minSecondary is how long GitHub asks to wait after a secondary limit when it
// names no time.
const minSecondary = time.Minute

// limitEnd returns when a rate limit ends, by this machine's clock.
func limitEnd(h http.Header, now time.Time) time.Time {
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s >= 0 {
		return now.Add(time.Duration(s) * time.Second)
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return at.Add(skew(h, now))
	}
	if reset, ok := resetTime(h, now); ok && h.Get("X-Ratelimit-Remaining") == "0" {
		return reset
	}
	return now.Add(minSecondary)
}

// resetTime reads X-RateLimit-Reset, seconds since 1970 by GitHub's clock.
func resetTime(h http.Header, now time.Time) (time.Time, bool) {
	s, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(s, 0).Add(skew(h, now)), true
}

// leastSkew is more than the second that Date is exact to and the way of the answer.
const leastSkew = 5 * time.Second

// skew is how far this machine's clock is ahead of GitHub's; 0 for less than leastSkew.
func skew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if d := now.Sub(date); err == nil && d.Abs() > leastSkew {
		return d
	}
	return 0
}

// message takes GitHub's words from the body of an error and closes it.
func message(res *http.Response) string {
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what could not be read is no message
	var e struct {
		Message string `json:"message"`
		Errors  any    `json:"errors"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return http.StatusText(res.StatusCode)
	}
	if e.Errors != nil {
		detail, _ := json.Marshal(e.Errors) // it was JSON a moment ago
		e.Message += " " + string(detail)
	}
	return strings.ToValidUTF8(e.Message[:min(len(e.Message), maxMessage)], "")
}

// hint says what a person can do about e.
func hint(e *Error, r request) string {
	switch e.Kind {
	case ErrUnauthorized:
		return "check that the App is still installed, that its id and private key belong together and that this machine's clock is right; for a token, that it is neither revoked nor expired"
	case ErrForbidden:
		return "the App's installation or the token needs " + r.needs
	case ErrNotFound:
		if e.Status/100 == 3 {
			return r.scope.String() + " has moved or has a new name: use that"
		}
		h := fmt.Sprintf("check that %s is there and that the App is installed on it; the call needs %s", r.scope, r.needs)
		if r.group != 0 {
			h += fmt.Sprintf("; or runner group %d does not exist or is not open to it", r.group)
		}
		return h
	case ErrConflict:
		return "a runner of that name is registered: remove it, or take another name"
	}
	return ""
}
