// Package webhook is stage 1: it turns a delivery signed by GitHub into an event on the bus, and
// answers 2xx only once the bus has stored it.
//
// A [Handler] reads the raw body within a limit, checks its HMAC-SHA256 against one or two secrets
// before it looks at anything else, routes jobs to pools, and publishes. One table in answer.go has
// all its answers.
//
// GitHub signs only the body, neither the delivery's GUID nor the event's name: whoever got hold of
// a body with its signature can post it again under another GUID. So nothing may rely on a job's
// event arriving once. The ledger does not: it knows a job by its own id.
//
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// DefaultMaxBody is GitHub's limit for a payload, 25 MB.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
const DefaultMaxBody = 25 << 20

// publishLimit bounds an attempt to store an event: GitHub hangs up after 10 s, and an answer after
// that helps nobody.
const publishLimit = 9 * time.Second

// DefaultEvents returns the event types that are forwarded by default.
func DefaultEvents() []string { return []string{event.TypeWorkflowJob, "workflow_run", "ping"} }

// A Config configures a [Handler].
type Config struct {
	Secrets []secret.Secret // one, or two while one replaces the other; either may sign
	MaxBody int64           // bytes; 0 means DefaultMaxBody
	Events  []string        // event types that are forwarded to the bus; nil means DefaultEvents
	Pools   pool.Set        // for routing jobs

	// Read brings a signed delivery into the form that the pipeline knows, GitHub's. An error says what is
	// wrong with the payload. nil means that it has that form.
	Read func(event.Event) (event.Event, error)

	// Renew returns the current secrets. It is called if none of Secrets has signed a body; nil if
	// they never change while the handler lives. Anybody can send such a body, so Renew must not
	// read them every time.
	Renew func(context.Context) []secret.Secret

	// Publish stores e: it is durable when Publish returns nil. Fresh is false if the event's id is
	// known and nothing was done. The context ends before GitHub stops waiting.
	Publish func(ctx context.Context, e event.Event) (fresh bool, err error)
	Full    error // Publish's error for a full disk; nil if it has none

	// Quarantine stores an event that cannot be routed, with the reason, as durably as Publish and
	// with its errors. If nil, such deliveries are refused.
	Quarantine func(ctx context.Context, e event.Event, reason string) (fresh bool, err error)

	Now func() time.Time // nil means time.Now
	Log *slog.Logger
}

// A Handler answers deliveries on whatever path it is mounted. It is safe for concurrent use.
type Handler struct {
	c      Config
	memory *chunks
	tally  tally
	pools  atomic.Pointer[pool.Set]
}

// New returns a Handler, or the fault of c. An empty secret is refused: anybody could sign with it.
func New(c Config) (*Handler, error) {
	if len(c.Secrets) == 0 {
		return nil, errors.New("webhook without a secret: want one, or two while one replaces the other")
	}
	for i, s := range c.Secrets {
		if s.IsZero() {
			return nil, fmt.Errorf("webhook secret %d of %d is empty", i+1, len(c.Secrets))
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Events == nil {
		c.Events = DefaultEvents()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &Handler{c: c, memory: newChunks(c.MaxBody)}
	h.SetPools(c.Pools)
	return h, nil
}

// SetPools routes deliveries to other pools from now on.
func (h *Handler) SetPools(pools pool.Set) { h.pools.Store(&pools) }

// ServeHTTP answers one delivery.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.tally.received.Add(1)
	a, no := h.deliver(w, r)
	if no != nil {
		h.refused(no, r)
		drain(r)
		no.write(w)
		return
	}
	h.answered(a, r)
	a.write(w)
}

// deliver processes a delivery. Until its signature is verified, only its method, size and
// signature are used.
func (h *Handler) deliver(w http.ResponseWriter, r *http.Request) (answer, *refusal) {
	b := &body{memory: h.memory}
	defer b.release()
	if no := h.readSigned(w, r, b); no != nil {
		return answer{}, no
	}
	e, no := h.readHeader(r.Header)
	if no != nil {
		return answer{}, no
	}
	if !slices.Contains(h.c.Events, e.DetailType) {
		return answer{outcome: ignored, Event: e.ID, Note: e.DetailType + " is not among the event types to forward: nothing was done"}, nil
	}
	e.Detail = b.bytes()
	b.release() // for other requests, while this one is stored
	return h.publish(r.Context(), e)
}

// publish routes an event and puts it on the bus, or into quarantine if it cannot be routed.
func (h *Handler) publish(ctx context.Context, e event.Event) (answer, *refusal) {
	routed, err := h.route(&e)
	switch {
	case err == nil:
		return h.keep(ctx, h.c.Publish, routed.Event, answer{Event: e.ID, Pool: routed.Pool, Note: event.Clip(routed.Note, event.MaxSaid)})
	case h.c.Quarantine == nil || !isObject(e.Detail):
		return answer{}, refuse(malformed, err.Error())
	}
	why := event.Clip(err.Error(), event.MaxSaid)
	aside := func(ctx context.Context, e event.Event) (bool, error) { return h.c.Quarantine(ctx, e, why) }
	return h.keep(ctx, aside, e, answer{outcome: quarantined, Event: e.ID, Note: "in quarantine: " + why})
}

// route reads e, as the forge sends it, and routes it. What cannot be read stays as it is.
func (h *Handler) route(e *event.Event) (Routed, error) {
	if h.c.Read != nil {
		read, err := h.c.Read(*e)
		if err != nil {
			return Routed{}, err
		}
		*e = read
	}
	return Route(*e, *h.pools.Load())
}

// keep stores e with publish, and completes a with the outcome.
func (h *Handler) keep(ctx context.Context, publish func(context.Context, event.Event) (bool, error), e event.Event, a answer) (answer, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	fresh, err := publish(ctx, e)
	switch {
	case err != nil && h.c.Full != nil && errors.Is(err, h.c.Full):
		return answer{}, refuse(full, err.Error())
	case err != nil:
		return answer{}, refuse(unkept, err.Error())
	case !fresh:
		a.outcome, a.Note = duplicate, "accepted before: nothing was done"
	}
	return a, nil
}

// readHeader reads the headers, and refuses what cannot be an event.
func (h *Handler) readHeader(header http.Header) (event.Event, *refusal) {
	if no := wantJSON(header.Get("Content-Type")); no != nil {
		return event.Event{}, no
	}
	e := event.Event{
		ID: header.Get("X-GitHub-Delivery"), Source: event.SourceGitHub, DetailType: header.Get("X-GitHub-Event"),
		Time: h.c.Now().UTC().Truncate(time.Millisecond),
	}
	switch {
	case !isName(e.ID):
		return e, refuse(malformed, fmt.Sprintf("header X-GitHub-Delivery %.80q: want a GUID", e.ID))
	case !isName(e.DetailType):
		return e, refuse(malformed, fmt.Sprintf("header X-GitHub-Event %.80q: want the name of an event", e.DetailType))
	}
	return e, nil
}

// isName reports whether s can be a GUID or the name of an event. Both come from headers, which are
// not signed, and end up in logs, tables and file names.
func isName(s string) bool {
	unsafe := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	return s != "" && len(s) <= 80 && !strings.ContainsFunc(s, unsafe)
}
