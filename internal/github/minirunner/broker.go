package minirunner

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

const (
	pollLimit        = 100 * time.Second // for one long poll, which the broker answers within 50 s or so
	acknowledgeLimit = 5 * time.Second
	sessionEnd       = 30 * time.Second // for telling GitHub that the runner leaves
)

// States of a runner, sent while it polls.
const (
	statusOnline = "Online"
	statusBusy   = "Busy"
)

// A message is what the broker has for a runner.
type message struct {
	MessageID   int64  `json:"messageId"`
	MessageType string `json:"messageType"`
	Body        string `json:"body"` // JSON, by type
}

// login gets a new access token.
func (l *listener) login(ctx context.Context) error {
	assertion, err := l.Identity.assertion(l.Now())
	if err != nil {
		return err
	}
	token, err := l.plain.AccessToken(ctx, l.Identity.TokenURL, assertion)
	if err != nil {
		return err
	}
	l.access.Store(&wire.Caller{HTTP: l.HTTP, Authorization: "Bearer " + token, UserAgent: l.plain.UserAgent})
	return nil
}

// call makes a call of the broker. When the access token is not taken, it tries
// once more with a new one (VssHttpMessageHandler.cs).
func (l *listener) call(ctx context.Context, method, path string, in, out any) error {
	address, err := wire.Resolve(l.Identity.Broker, path)
	if err != nil {
		return err
	}
	err = l.access.Load().Call(ctx, method, address, in, out)
	if wire.Status(err) != http.StatusUnauthorized {
		return err
	}
	if err := l.login(ctx); err != nil {
		return err
	}
	return l.access.Load().Call(ctx, method, address, in, out)
}

// about describes the runner in each call of a session.
func (l *listener) about() url.Values {
	return url.Values{
		"sessionId": {l.session}, "status": {l.status()}, "runnerVersion": {l.Version}, "os": {"Linux"}, "architecture": {"X64"},
	}
}

// poll makes one long poll. It returns nil if there is no message.
func (l *listener) poll(ctx context.Context, query url.Values) (*message, error) {
	limited, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	var m message
	err := l.call(limited, http.MethodGet, "message?"+query.Encode(), nil, &m)
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil || m.MessageType == "" {
		return nil, err
	}
	return &m, nil
}

// refused reads err as a refusal of the broker, and gives its kind.
func refused(err error) string {
	r, _ := wire.RefusalOf(err, wire.Broker)
	return r.Kind
}

// The kinds of refusals that a runner understands (BrokerErrorKind.cs).
const (
	kindNotFound    = "RunnerNotFound"
	kindTooOld      = "RunnerVersionTooOld"
	kindNoSession   = "RunnerSessionInvalid"
	kindJobNotFound = "AcknowledgeJobNotFound"
)

// final reports whether another poll would get the same answer.
func final(err error) bool {
	kind := refused(err)
	return kind == kindNotFound || kind == kindTooOld || kind == kindNoSession || wire.Status(err) == http.StatusForbidden
}
