package forge

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kinds of failed calls, for errors.Is. A rate limit is a [RateLimited].
var (
	ErrUnauthorized  = errors.New("credential is not accepted")            // 401
	ErrForbidden     = errors.New("credential may not do this")            // 403
	ErrNotFound      = errors.New("not there, or not for this credential") // 404, 410, moved
	ErrConflict      = errors.New("name is taken")                         // 409
	ErrUnprocessable = errors.New("request is not accepted")               // 400, 422 and other 4xx
	ErrBusy          = errors.New("runner has a job")                      // when a runner is removed
	ErrUnavailable   = errors.New("server is not available")               // 5xx, network, timeout
	ErrByHand        = errors.New("there is no call for this")             // see ByHand

	// ErrNoWebhook is an ErrNotFound after a successful call: the forge listed its webhooks, and
	// the wanted one is not among them.
	ErrNoWebhook = fmt.Errorf("no such webhook: %w", ErrNotFound)

	// ErrLost comes with ErrUnavailable, or with the context's error, if the request may have
	// had its effect: it was sent, and the answer was lost or a 5xx.
	ErrLost = errors.New("answer was lost")
)

// RateLimited means that the forge refuses calls of this credential before Until. Until then the
// client refuses them itself. Find it with errors.As.
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
	Message string // from the forge or the network; at most 300 bytes
	Request string // the forge's id of the request, for its support
	Lost    bool   // as ErrLost
	Kind    error
	Advice  string // the next thing to do for a person, or ""
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
func (e *Error) Hint() string { return e.Advice }

// Unwrap returns e.Kind.
func (e *Error) Unwrap() error { return e.Kind }

// Is makes errors.Is(err, ErrLost) work.
func (e *Error) Is(target error) bool { return target == ErrLost && e.Lost }

// A PingRefused is a ping whose answer was not 2xx.
type PingRefused struct{ Answer Delivery }

func (e *PingRefused) Error() string {
	return fmt.Sprintf("a ping was answered with %d %s", e.Answer.Code, e.Answer.Status)
}

// PingWithin is how long a ping may take.
const PingWithin = time.Minute

// ErrNoPing means that the forge did not report the answer to a ping in time.
var ErrNoPing = fmt.Errorf("no ping came through within %s", PingWithin)
