// Package forge is the noun for where jobs come from: what the rest of Mayfly needs of
// GitHub or of what is like it. A [Forge] is one of them, as it is reached with one
// credential. Its implementations are package github and package gitea; nobody else
// knows which of them it has.
//
// The words are GitHub's. Where another forge lacks what one of them stands for, its
// implementation says how it makes do.
package forge

import (
	"cmp"
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Forge is where jobs come from. It is safe for concurrent use. Its errors are [*Error]
// and so tell of the sentinels of this package, unless a parameter made no sense.
type Forge interface {
	// Name is what people call it, such as GitHub.
	Name() string

	// Web is its address for a browser, without a slash at the end.
	Web() string

	// Pace says how often it may be asked for what no delivery told of.
	Pace() Pace

	// Check asks whether it takes the credential.
	Check(ctx context.Context) error

	// Read brings a delivery, whose signature is good, into the form that GitHub gives it:
	// [event.ParseWorkflowJob] must read a job of it as it stands, its attempt counted from 1.
	// An error says that the payload is not what this forge sends.
	Read(delivery event.Event) (event.Event, error)

	Registry
	Jobs
	Webhooks
}

// About is what decisions and answers need to know of a forge. The zero value is GitHub.
type About struct {
	Name     string // what people call it; "" is GitHub
	NoHosted bool   // it has no runners of its own: a job that fits no pool waits, whatever its labels
}

// String is what people call it.
func (a About) String() string { return cmp.Or(a.Name, "GitHub") }

// A Pace is how often a forge may be asked.
type Pace struct {
	Jobs  time.Duration // between looks for queued jobs
	Calls int64         // of one look
}

// A Registry has the registrations of runners.
type Registry interface {
	// Register registers a runner for one job, and is never repeated by itself. ErrConflict
	// when a runner of that name is there, also from an attempt whose answer was lost
	// (ForgetRunner helps); ErrLost when there may be one now.
	Register(ctx context.Context, at Scope, r Registration) (Registered, error)

	// Runners returns all runners of a place. A runner that is not in the answer is not registered.
	Runners(ctx context.Context, at Scope) ([]Runner, error)

	// RemoveRunner removes a registration; nil when it is gone already, ErrBusy when the
	// runner has a job.
	RemoveRunner(ctx context.Context, at Scope, id int64) error

	// ForgetRunner is RemoveRunner by name; nil when there is none.
	ForgetRunner(ctx context.Context, at Scope, name string) error
}

// A Registration describes one runner to register.
type Registration struct {
	Name       string
	Labels     []string // 1 to 100; the runner serves jobs that have these
	Group      string   // name or id of the runner group, where the forge has groups; "" is its default
	WorkFolder string   // "" leaves it to the runner
}

// A Registered is a runner that is registered and has not connected yet. Whoever has
// Config is that runner, for one job.
type Registered struct {
	RunnerID int64
	Config   secret.Secret
	Program  string // what Config is for, as the agent knows it; "" is GitHub's runner
}

// A Runner is a registration that a forge has.
type Runner struct {
	ID     int64
	Name   string
	OS     string // "" where the forge does not tell
	Online bool
	Busy   bool
	Labels []string
}

// Jobs are those of workflows. With an error, a list has what was found before.
type Jobs interface {
	// Job returns how attempt of job id stands. ErrNotFound when the forge does not know that attempt.
	Job(ctx context.Context, repository string, id int64, attempt int) (event.WorkflowJob, error)

	// QueuedJobs returns the jobs of repository that wait for a runner now.
	QueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error)

	// LatelyQueuedJobs is QueuedJobs for the newest runs only, where that costs less.
	LatelyQueuedJobs(ctx context.Context, repository string) ([]event.WorkflowJob, error)

	// Repositories returns repositories under a webhook that may have queued jobs: the
	// likeliest first, and of the others some, of which each has its turn as turn goes up by one.
	Repositories(ctx context.Context, at Scope, turn int) ([]Repository, error)
}

// A Repository is one as lists tell of it.
type Repository struct {
	Name         string // owner/name
	Organization string // login of its owner; "" of a user
}

// Webhooks are what sends deliveries.
type Webhooks interface {
	// InstallWebhook makes the webhook of a place as h says: it changes the one with the same
	// URL, or makes one. ErrByHand where a person has to; see ByHand.
	InstallWebhook(ctx context.Context, at Scope, h HookConfig) (Hook, error)

	// ByHand returns what to enter for h where InstallWebhook says ErrByHand.
	ByHand(at Scope, h HookConfig) Manual

	// Webhook returns the webhook of a place that sends to url; [ErrNoWebhook] when there is none.
	Webhook(ctx context.Context, at Scope, url string) (Hook, error)

	// Ping has the forge send a ping, waits until it is known how that was answered, and
	// returns with what. ErrByHand where it cannot be pinged; *[PingRefused], [ErrNoPing].
	Ping(ctx context.Context, at Scope, h Hook) (code int, err error)

	// RemoveWebhook removes a webhook; ErrNotFound when there is none, ErrByHand where a person has to.
	RemoveWebhook(ctx context.Context, at Scope, id int64) error

	// FailedDeliveries returns the deliveries of a webhook since then that failed, newest first.
	// A forge that does not tell of them returns none: their jobs are found by asking for jobs.
	FailedDeliveries(ctx context.Context, at Scope, hook int64, since time.Time) ([]Delivery, error)

	// Redeliver has a delivery that failed sent again, with the same GUID.
	Redeliver(ctx context.Context, at Scope, hook, id int64) error
}

// A HookConfig is what a webhook should be. Deliveries are JSON, and the
// certificate of URL is checked.
type HookConfig struct {
	URL    string
	Secret secret.Secret
	Events []string // such as workflow_job
}

// A Hook is a webhook as a forge has it.
type Hook struct {
	ID     int64 // 0 for an App's
	URL    string
	Events []string
	Active bool

	// Missing lists events that were asked for and that the webhook does not get, because
	// there is no call for that.
	Missing []string
}

// Manual is a webhook for a person to enter, field by field as on the forge's page.
type Manual struct {
	Page        string // address of the page
	PayloadURL  string
	ContentType string
	Secret      secret.Secret // hides itself: whoever prints it decides where
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
	Attempts int    // so many were made, as far as was asked for
}
