// Package forge is the noun for where jobs come from: what the rest of Mayfly needs of GitHub or a
// similar forge. A [Forge] is one of them, accessed with one credential. Packages github and gitea
// implement it; no other package knows which one it has.
//
// The terms are GitHub's. Where another forge has no equivalent, its implementation documents what
// it does instead.
package forge

import (
	"cmp"
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Forge is where jobs come from. It is safe for concurrent use. Its errors are [*Error], which
// match the sentinels of this package, except for invalid parameters.
type Forge interface {
	// Name is what people call it, such as GitHub.
	Name() string

	// Web is its address for a browser, without a trailing slash.
	Web() string

	// Pace returns how often it may be searched for jobs that no delivery reported.
	Pace() Pace

	// Check asks whether it accepts the credential.
	Check(ctx context.Context) error

	// Read converts a delivery, whose signature was verified, to GitHub's form:
	// [event.ParseWorkflowJob] must be able to read its job, with attempts counted from 1. An
	// error means that the payload is not one of this forge.
	Read(delivery event.Event) (event.Event, error)

	Registry
	Jobs
	Webhooks
}

// About has the differences between forges that decisions and answers depend on. The zero value is GitHub.
type About struct {
	Name     string // what people call it; "" is GitHub
	NoHosted bool   // whether it has no hosted runners, so that a job that fits no pool waits whatever its labels
}

// String is what people call it.
func (a About) String() string { return cmp.Or(a.Name, "GitHub") }

// A Pace is how often a forge may be searched for jobs.
type Pace struct {
	Jobs  time.Duration // between two searches for queued jobs
	Calls int64         // the most calls of one search
}

// A Registry manages the registrations of runners.
type Registry interface {
	// Register registers a runner for one job, and never repeats its request. The error is
	// ErrConflict if a runner of that name exists, perhaps from an attempt whose answer was lost
	// (see ForgetRunner), and ErrLost if this attempt may have registered one.
	Register(ctx context.Context, at Scope, r Registration) (Registered, error)

	// Runners returns all runners of a place. A runner that is missing in the result is not registered.
	Runners(ctx context.Context, at Scope) ([]Runner, error)

	// RemoveRunner removes a registration. It returns nil if that is gone already, and ErrBusy if the
	// runner has a job.
	RemoveRunner(ctx context.Context, at Scope, id int64) error

	// ForgetRunner is RemoveRunner by name. It returns nil if there is no such runner.
	ForgetRunner(ctx context.Context, at Scope, name string) error
}

// A Registration describes one runner to register.
type Registration struct {
	Name       string
	Labels     []string // 1 to 100; the runner serves jobs that have these
	Group      string   // name or id of the runner group, where the forge has groups; "" is its default
	WorkFolder string   // "" leaves it to the runner
}

// A Registered is a runner that is registered and has not connected yet. Config is a credential: its
// holder is that runner, for one job.
type Registered struct {
	RunnerID int64
	Config   secret.Secret
	Program  string // the runner program that Config is for, see package agent; "" is GitHub's runner
}

// A Runner is a registration in a forge's list.
type Runner struct {
	ID     int64
	Name   string
	OS     string // "" where the forge does not tell
	Online bool
	Busy   bool
	Labels []string
}

// Jobs looks up jobs of workflows. With an error, a list has what was found before it.
type Jobs interface {
	// Job returns the state of an attempt of job id, or ErrNotFound if the forge does not know that attempt.
	Job(ctx context.Context, repository string, id int64, attempt int) (event.WorkflowJob, error)

	// QueuedJobs returns the jobs of repository that wait for a runner now.
	QueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error)

	// LatelyQueuedJobs is QueuedJobs for the newest runs only, if that costs fewer calls.
	LatelyQueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error)

	// Repositories returns repositories of a webhook's place that may have queued jobs: the most
	// likely ones first, then some of the others. As turn counts up, each of these has its turn.
	Repositories(ctx context.Context, at Scope, turn int) ([]Repository, error)
}

// A Repository is a repository in a list.
type Repository struct {
	Name         string // owner/name
	Organization string // login of its owner; "" of a user
}

// Webhooks manages the webhooks that send deliveries.
type Webhooks interface {
	// InstallWebhook creates the webhook h of a place, or updates the one with the same URL. The
	// error is ErrByHand if only a person can do so; see ByHand.
	InstallWebhook(ctx context.Context, at Scope, h HookConfig) (Hook, error)

	// ByHand returns what a person enters for h if InstallWebhook returns ErrByHand.
	ByHand(at Scope, h HookConfig) Manual

	// Webhook returns the webhook of a place that sends to url, or [ErrNoWebhook].
	Webhook(ctx context.Context, at Scope, url string) (Hook, error)

	// Ping makes the forge send a ping, waits until the forge reports the answer, and returns its
	// status code. The error is ErrByHand if the webhook cannot be pinged, or *[PingRefused] or
	// [ErrNoPing].
	Ping(ctx context.Context, at Scope, h Hook) (code int, err error)

	// RemoveWebhook removes a webhook. The error is ErrNotFound if it does not exist, and ErrByHand if only
	// a person can remove it.
	RemoveWebhook(ctx context.Context, at Scope, id int64) error

	// FailedDeliveries returns the failed deliveries of a webhook since a time, newest first. A forge
	// that does not list them returns none; their jobs are then found by the search for jobs.
	FailedDeliveries(ctx context.Context, at Scope, hook int64, since time.Time) ([]Delivery, error)

	// Redeliver makes the forge send a failed delivery again, with the same GUID.
	Redeliver(ctx context.Context, at Scope, hook, id int64) error
}

// A HookConfig describes a webhook to install. Deliveries are JSON, and the forge checks URL's
// certificate.
type HookConfig struct {
	URL    string
	Secret secret.Secret
	Events []string // such as workflow_job
}

// A Hook is an installed webhook.
type Hook struct {
	ID     int64 // 0 for an App's
	URL    string
	Events []string
	Active bool

	// Missing lists requested events that the webhook does not get, because the forge has no call
	// to change them.
	Missing []string
}

// Manual is a webhook for a person to enter, field by field as on the forge's page.
type Manual struct {
	Page        string // address of the page
	PayloadURL  string
	ContentType string
	Secret      secret.Secret // hides itself until a caller reveals it
	SSL         string
	Events      []string // by their API names
	Active      bool
}

// A Delivery is one that failed: no attempt of it was answered with 2xx.
type Delivery struct {
	ID       int64  // of the latest attempt, for Redeliver
	GUID     string // X-GitHub-Delivery, the same for each attempt
	Event    string // such as workflow_job
	Action   string // such as queued; "" for events without
	At       time.Time
	Code     int    // status of the latest attempt's answer; 0 without one
	Status   string // the forge's words for it, such as "timed out"
	Attempts int    // how many attempts were seen
}
