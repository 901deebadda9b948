package github

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxMessage is how much of GitHub's message an error keeps, in bytes.
const maxMessage = 300

// answerError turns an unsuccessful answer into an Error for r. It reads and closes the body.
func answerError(r request, res *http.Response, now time.Time) *Error {
	e := &Error{Doing: r.doing, Status: res.StatusCode, Message: message(res), Request: res.Header.Get("X-Github-Request-Id")}
	e.Kind = kindOf(res, e.Message, now)
	if kind, ok := r.kinds[res.StatusCode]; ok {
		e.Kind = kind
	}
	e.Lost = res.StatusCode >= 500 && r.method != http.MethodGet
	e.Advice = hint(e, r)
	return e
}

// kindOf is the only table from statuses to sentinels.
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

// isRateLimit reports whether an answer is a rate limit, hourly or secondary. GitHub uses the
// same status, 403, for a missing permission.
func isRateLimit(res *http.Response, message string) bool {
	if res.StatusCode == http.StatusTooManyRequests {
		return true
	}
	return res.StatusCode == http.StatusForbidden &&
		(res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0" ||
			strings.Contains(strings.ToLower(message), "rate limit"))
}

// minSecondary is how long GitHub asks to wait after a secondary limit without a time.
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

// leastSkew is the least difference of clocks that counts. It exceeds the resolution of Date, a
// second, and the time that the answer travels.
const leastSkew = 5 * time.Second

// skew returns how far this machine's clock is ahead of GitHub's, or 0 if that is less than leastSkew.
func skew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if d := now.Sub(date); err == nil && d.Abs() > leastSkew {
		return d
	}
	return 0
}

// message returns GitHub's message from the body of an error, and closes the body.
func message(res *http.Response) string {
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // without a body there is no message, and the status still tells
	var e struct {
		Message string `json:"message"`
		Errors  any    `json:"errors"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return http.StatusText(res.StatusCode)
	}
	if e.Errors != nil {
		detail, _ := json.Marshal(e.Errors) // cannot fail: it was decoded from JSON
		e.Message += " " + string(detail)
	}
	return strings.ToValidUTF8(e.Message[:min(len(e.Message), maxMessage)], "")
}

// hint returns what a person can do about e.
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
		if r.group != "" {
			h += fmt.Sprintf("; or runner group %s does not exist or is not open to it", r.group)
		}
		return h
	case ErrConflict:
		return "a runner of that name is registered: remove it, or take another name"
	}
	return ""
}
