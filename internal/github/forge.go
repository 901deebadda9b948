package github

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// The words of package forge, of which a [Client] is one, for who deals with GitHub alone.
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

// What can go wrong with a call, for errors.Is.
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

// AppScope is the App that a [Client] acts as.
func AppScope() Scope { return forge.AppScope() }

// ParseScope reads "acme/web", "acme" or "enterprises/acme".
func ParseScope(s string) (Scope, error) { return forge.ParseScope(s) }

var _ forge.Forge = (*Client)(nil)

// Name implements forge.Forge.
func (c *Client) Name() string { return "GitHub" }

// Pace implements forge.Forge: 1,200 of GitHub's hourly limit, 5,000 calls at least, may go
// to looking for jobs.
func (c *Client) Pace() forge.Pace { return forge.Pace{Jobs: 5 * time.Minute, Calls: 100} }

// Read implements forge.Forge: the form is GitHub's.
func (c *Client) Read(delivery event.Event) (event.Event, error) { return delivery, nil }
