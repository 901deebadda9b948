// Package hook is GitHub's side of webhooks: who wants to hear of what, signed
// deliveries, and the record of them that the deliveries API shows.
// https://docs.github.com/en/webhooks
package hook

import (
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Target is what a webhook belongs to.
type Target struct {
	Type string // TargetRepository, TargetOrganization or TargetApp
	ID   int64
}

// The types of targets, as in X-GitHub-Hook-Installation-Target-Type.
const (
	TargetRepository   = "repository"
	TargetOrganization = "organization"
	TargetApp          = "integration"
)

// A Hook is one webhook.
type Hook struct {
	ID          int64
	Target      Target
	Active      bool
	Events      []string // "*" for all
	Config      Config
	Created     time.Time
	Updated     time.Time
	LastCode    int    // status of the last answer; 0 before the first
	LastMessage string // of the last answer
}

// A Config is where and how a webhook is delivered.
type Config struct {
	URL         string
	ContentType string // "json" or "form"
	InsecureSSL string // "0" or "1"
	Secret      secret.Secret
}

// wants reports whether the hook asked for an event. Every hook gets its ping.
func (h Hook) wants(event string) bool {
	return event == "ping" || h.Active && (slices.Contains(h.Events, event) || slices.Contains(h.Events, "*"))
}

// An Event is an event to deliver.
type Event struct {
	Name         string // X-GitHub-Event
	Action       string // "" where the event has none
	Repository   int64  // id; 0 if it is about none
	Installation int64  // id; 0 if no App sends it
	Payload      any    // becomes the JSON body; not changed after it was given away
}

// A Delivery is one attempt to deliver an event.
type Delivery struct {
	ID             int64
	GUID           string // the same for each attempt at one event
	HookID         int64
	Event          Event
	Redelivery     bool
	At             time.Time
	Duration       time.Duration
	Status         string // "OK", or what went wrong
	Code           int    // status of the answer; see [Sender] for what has none
	RequestHeaders map[string]string
	Body           []byte // as sent
	AnswerHeaders  map[string]string
	Answer         string
}
