package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// An Inquiry is what the forge said of a job that Mayfly was not told of.
type Inquiry struct {
	Status     string           `json:"status"`     // of the job, such as queued; "" if the forge does not know it
	URL        string           `json:"url"`        // its page
	Deliveries []forge.Delivery `json:"deliveries"` // that failed since the job was created, the newest first, as far as the forge tells
}

// An Asker is the forge, as far as it knows of a job that Mayfly was not told of.
type Asker interface {
	Job(ctx context.Context, repository string, id int64, attempt int) (event.WorkflowJob, error)
	Webhook(ctx context.Context, at forge.Scope, url string) (forge.Hook, error)
	FailedDeliveries(ctx context.Context, at forge.Scope, hook int64, since time.Time) ([]forge.Delivery, error)
}

// A HookPlace is where the webhook is that should tell of jobs, and what puts it right.
type HookPlace struct {
	At      forge.Scope
	URL     string
	Command string // such as "mayfly webhook install"
}

// maxAside bounds how much of the quarantine is searched for a job.
const maxAside = 1000

// Inquire tells why the ledger does not have the job of key: what the bus and the quarantine have of it, and
// else what the forge says of the job and of the deliveries to at. Ask is nil if the forge cannot be asked.
func (s *Source) Inquire(ctx context.Context, ask Asker, at HookPlace, key ledger.JobKey, now time.Time) (*Story, error) {
	q := inquiry{Source: s, ask: ask, at: at, story: &Story{Key: key, Steps: []Step{}}, now: now}
	state, err := s.Ledger.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	q.facts = why.Facts{Job: key.String(), Repository: key.Repository, Hook: at.Command, Forge: state.Limits().Forge.String()}
	q.forge = q.facts.Forge
	for _, look := range []func(context.Context) (bool, error){q.inQuarantine, q.onBus, q.atForge, q.atHook} {
		if found, err := look(ctx); found || err != nil {
			return q.story, err
		}
	}
	return q.story, nil
}

// An inquiry is the search for one job.
type inquiry struct {
	*Source
	ask   Asker
	at    HookPlace
	story *Story
	job   event.WorkflowJob // as the forge has it
	facts why.Facts
	forge string
	now   time.Time
}

// is makes a cause the answer.
func (q *inquiry) is(c why.Cause, format string, args ...any) bool {
	q.story.Answer = why.New(c, q.facts, format, args...)
	return true
}

// unasked is the answer if the forge does not answer.
func (q *inquiry) unasked(err error, format string, args ...any) bool {
	blame := pipeline.Blame(err)
	q.is(blame.Cause, "%s: %v", fmt.Sprintf(format, args...), err)
	q.story.Answer = q.story.Advised(blame.Fix)
	return true
}

func (q *inquiry) inQuarantine(ctx context.Context) (bool, error) {
	held, err := q.Quarantine.Quarantined(ctx, eventlog.QuarantineFilter{}, maxAside)
	if err != nil {
		return false, err
	}
	for _, h := range held {
		if job, err := event.ParseWorkflowJob(h.Event.Detail); err == nil && ledger.KeyOf(job).Number() == q.story.Key.Number() {
			return q.is(why.Quarantined, "its delivery is in quarantine: %s", h.Reason), nil
		}
	}
	return false, nil
}

func (q *inquiry) onBus(ctx context.Context) (bool, error) {
	p, err := pattern.Parse(fmt.Appendf(nil, `{"detail": {"workflow_job": {"id": [%d]}}}`, q.story.Key.ID))
	if err != nil {
		return false, err
	}
	events, err := q.Events.Events(ctx, eventlog.Filter{DetailType: event.TypeWorkflowJob, Pattern: p, Limit: 1})
	if err != nil || len(events) == 0 {
		return false, err
	}
	return q.is(why.Backlog, "its event is on the bus since %s, and the ledger has not taken it yet", events[0].Event.Time.Local().Format(time.DateTime)), nil
}

// atForge asks how the job stands. It finds nothing if the job waits for a runner.
func (q *inquiry) atForge(ctx context.Context) (bool, error) {
	key := q.story.Key
	if q.ask == nil {
		return q.is(why.NotAsked, "job %s is not in the ledger, and %s was not asked: no configuration", key, q.forge), nil
	}
	job, err := q.ask.Job(ctx, key.Repository, key.ID, key.Attempt)
	switch {
	case errors.Is(err, forge.ErrNotFound):
		return q.is(why.NoJob, "neither the ledger nor %s knows job %s, or the credential does not see %s", q.forge, key, key.Repository), nil
	case err != nil:
		return q.unasked(err, "job %s is not in the ledger, and %s could not be asked", key, q.forge), nil
	}
	q.job = job
	q.story.Forge = &Inquiry{Status: job.State(), URL: job.URL, Deliveries: []forge.Delivery{}}
	q.story.Steps = append(q.story.Steps, Step{At: job.Created, Step: StepQueued, Note: strings.Join(job.Labels, ", "), Took: max(0, q.now.Sub(job.Created)).Seconds()})
	const untold = ", and mayfly was not told of it"
	switch job.State() {
	case event.ActionCompleted:
		return q.is(why.Done, "%s says that it is completed: %s%s", q.forge, job.Conclusion, untold), nil
	case event.ActionInProgress:
		return q.is(why.Running, "%s says that it is running on %s%s", q.forge, job.RunnerName, untold), nil
	case event.ActionWaiting:
		return q.is(why.Waits, "%s holds it back: it waits for jobs that it needs or for somebody's approval", q.forge), nil
	}
	return false, nil
}

// atHook finds out why no delivery told of a job that is queued.
func (q *inquiry) atHook(ctx context.Context) (bool, error) {
	queued := fmt.Sprintf("%s has it queued, and mayfly was not told", q.forge)
	hook, err := q.ask.Webhook(ctx, q.at.At, q.at.URL)
	switch {
	case q.at.URL == "" || q.at.At == (forge.Scope{}):
		return q.is(why.NeverSent, "%s; webhook.at and webhook.url are not in the configuration, so the webhook cannot be looked at", queued), nil
	case errors.Is(err, forge.ErrNoWebhook), errors.Is(err, forge.ErrNotFound):
		return q.is(why.HookRemoved, "%s: %s has no webhook that sends to %s", queued, q.at.At, q.at.URL), nil
	case err != nil:
		return q.unasked(err, "%s; its webhook could not be looked at", queued), nil
	case !hook.Active:
		return q.is(why.HookOff, "%s: the webhook of %s is switched off", queued, q.at.At), nil
	case len(hook.Events) > 0 && !slices.Contains(hook.Events, event.TypeWorkflowJob) && !slices.Contains(hook.Events, "*"):
		return q.is(why.HookEvents, "%s: the webhook of %s sends %s, and not workflow_job", queued, q.at.At, strings.Join(hook.Events, ", ")), nil
	}
	failed, err := q.ask.FailedDeliveries(ctx, q.at.At, hook.ID, q.job.Created.Add(-time.Minute))
	if err != nil {
		return q.unasked(err, "%s; the webhook's deliveries could not be looked at", queued), nil
	}
	for _, d := range failed {
		if d.Event == event.TypeWorkflowJob {
			q.story.Forge.Deliveries = append(q.story.Forge.Deliveries, d)
		}
	}
	return q.ofDelivery(ctx, queued)
}

// ofDelivery says what the newest delivery that failed tells.
func (q *inquiry) ofDelivery(ctx context.Context, queued string) (bool, error) {
	if len(q.story.Forge.Deliveries) == 0 {
		return q.is(why.NeverSent, "%s: %s has sent no delivery of it, or one that was answered well and lost since", queued, q.forge), nil
	}
	d := q.story.Forge.Deliveries[0]
	at := d.At.Local().Format(time.DateTime)
	health, err := q.Health(ctx)
	switch {
	case err != nil:
		return false, err
	case !health.Running:
		return q.is(why.MayflyDown, "%s, because mayfly is not running: the delivery of %s failed (%s)", queued, at, outcome(d)), nil
	case d.Code == http.StatusUnauthorized:
		return q.is(why.SecretWrong, "%s: the delivery of %s was refused (401), because the webhook's secret is not mayfly's", queued, at), nil
	case d.Code == 0, d.Code >= http.StatusInternalServerError && d.Code != http.StatusServiceUnavailable:
		return q.is(why.DeliveryLost, "%s: the delivery of %s did not reach mayfly (%s)", queued, at, outcome(d)), nil
	}
	return q.is(why.DeliveryFailed, "%s: mayfly refused the delivery of %s (%s)", queued, at, outcome(d)), nil
}

func outcome(d forge.Delivery) string {
	if d.Code == 0 {
		return "no answer: " + d.Status
	}
	return fmt.Sprintf("answer %d", d.Code)
}
