package github

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Types of package forge, which a [Client] implements, for callers that only use GitHub.
type (
	Scope       = forge.Scope
	JITRequest  = forge.Registration
	JIT         = forge.Registered
	Runner      = forge.Runner
	Repository  = forge.Repository
	Hook        = forge.Hook
	HookConfig  = forge.HookConfig
	Manual      = forge.Manual
	Delivery    = forge.Delivery
	Error       = forge.Error
	RateLimited = forge.RateLimited
	PingRefused = forge.PingRefused
)

// Kinds of errors, for errors.Is.
var (
	ErrUnauthorized  = forge.ErrUnauthorized
	ErrForbidden     = forge.ErrForbidden
	ErrNotFound      = forge.ErrNotFound
	ErrConflict      = forge.ErrConflict
	ErrUnprocessable = forge.ErrUnprocessable
	ErrBusy          = forge.ErrBusy
	ErrUnavailable   = forge.ErrUnavailable
	ErrByHand        = forge.ErrByHand
	ErrNoWebhook     = forge.ErrNoWebhook
	ErrLost          = forge.ErrLost
	ErrNoPing        = forge.ErrNoPing
)

// AppScope is the scope of the App itself.
func AppScope() Scope { return forge.AppScope() }

// ParseScope reads "acme/web", "acme" or "enterprises/acme".
func ParseScope(s string) (Scope, error) { return forge.ParseScope(s) }

var _ forge.Forge = (*Client)(nil)

// Name implements forge.Forge.
func (c *Client) Name() string { return "GitHub" }

// Pace implements forge.Forge. It spends at most 1,200 calls an hour on looking for jobs, of an
// hourly limit of at least 5,000.
func (c *Client) Pace() forge.Pace { return forge.Pace{Jobs: 5 * time.Minute, Calls: 100} }

// Read implements forge.Forge. Deliveries already have GitHub's form.
func (c *Client) Read(delivery event.Event) (event.Event, error) { return delivery, nil }
