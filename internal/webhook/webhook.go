// Package webhook is stage 1: a delivery that GitHub signed becomes an Event on
// the bus, and is answered with 2xx only once the bus has it for good.
//
// A [Handler] reads the raw body within a limit, checks its HMAC-SHA256 against
// one or two secrets before it looks at anything else, routes jobs to pools, and
// publishes. What it answers stands in one table, in answer.go.
//
// GitHub signs the body only, neither the delivery's GUID nor the event's name:
// whoever got hold of a body with its signature can post it again under another
// GUID. So nothing may rest on a job's event arriving once. The ledger does not:
// it knows a job by its own id.
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

// DefaultMaxBody is GitHub's own cap on a payload, 25 MB.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
const DefaultMaxBody = 25 << 20

// publishLimit ends an attempt to keep an event: GitHub hangs up after 10 s, and
// an answer it does not wait for helps nobody.
const publishLimit = 9 * time.Second

// DefaultEvents returns the event types that are forwarded unless a Config says
// otherwise.
func DefaultEvents() []string { return []string{event.TypeWorkflowJob, "workflow_run", "ping"} }

// A Config is what a [Handler] needs.
type Config struct {
	Secrets []secret.Secret // one, or two while one replaces the other; a signature of either is good
	MaxBody int64           // bytes; 0 means DefaultMaxBody
	Events  []string        // event types to forward to the bus; nil means DefaultEvents
	Pools   pool.Set        // where jobs are routed to

	// Read brings a delivery that is signed into the form that the pipeline knows, GitHub's.
	// An error says what is wrong with the payload. nil means that it has that form.
	Read func(event.Event) (event.Event, error)

	// Renew is asked for the secrets as they are now when none of Secrets has signed a
	// body; nil when they do not change while the handler lives. Anyone can send such a
	// body: it is for Renew not to look each time.
	Renew func(context.Context) []secret.Secret

	// Publish keeps e: it is durable when Publish returns nil. fresh is false
	// when an event of that id is there already, and nothing was done. Its
	// context ends before GitHub stops waiting.
	Publish func(ctx context.Context, e event.Event) (fresh bool, err error)
	Full    error // the error of Publish that says that the disk is full; nil if it has none

	// Quarantine keeps an event that lacks what routing needs, with the reason, as durably as
	// Publish and with its errors. nil has such deliveries refused.
	Quarantine func(ctx context.Context, e event.Event, reason string) (fresh bool, err error)

	Now func() time.Time // nil means time.Now
	Log *slog.Logger
}

// A Handler answers deliveries, on whatever path it is mounted. It may serve any
// number of requests at once.
type Handler struct {
	c      Config
	memory *chunks
	tally  tally
	pools  atomic.Pointer[pool.Set]
}

// New returns a Handler, or what is wrong with c. An empty secret is refused:
// anyone could sign with it.
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

// SetPools has deliveries from now on routed to other pools than those of the Config.
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

// deliver does all that a delivery asks for. Until its signature is known to be
// good, nothing of a request is used but its method, its size and its signature.
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
	b.release() // for others, while this one is kept
	return h.publish(r.Context(), e)
}

// publish routes an event, and puts it on the bus, or in quarantine when it cannot be routed.
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

// keep has e kept by publish, and says in a what came of it.
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

// readHeader reads what the headers say, and refuses what could not be put on the bus.
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

// isName reports whether s can be a GUID or the name of an event. These come
// from headers, which are not signed, and end in logs, tables and file names.
func isName(s string) bool {
	unsafe := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	return s != "" && len(s) <= 80 && !strings.ContainsFunc(s, unsafe)
}
