package proof

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A Link is where the way of a job ended too early.
type Link struct {
	Name string `json:"link"` // one of run, delivery, rule, pool, room, start, claim, runner, assignment, result, container, left
	Job  string `json:"job,omitempty"`
	What string `json:"what"`
	Hint string `json:"hint"`
}

func broke(name string, t *trace, hint, what string, args ...any) *Link {
	l := &Link{Name: name, What: fmt.Sprintf(what, args...), Hint: hint}
	if t != nil {
		l.Job = t.Name
	}
	return l
}

// Error says which link broke, and how.
func (l *Link) Error() string {
	where := l.Name
	if l.Job != "" {
		where += fmt.Sprintf(" of job %q", l.Job)
	}
	return fmt.Sprintf("the first broken link is the %s: %s", where, l.What)
}

// maxFailures is how many runners may fail a job before it is given up.
const maxFailures = 3

// hopeless returns a link that no waiting mends.
func (p *proof) hopeless() *Link {
	if p.run.Completed && p.run.Conclusion == "startup_failure" {
		return broke("run", nil, "look at "+p.run.URL, "GitHub does not take the test workflow")
	}
	for _, t := range p.traces {
		switch {
		case t.kept.State == ledger.JobUnroutable:
			return broke("pool", t, "labels and repositories of the pools say which jobs they take; mayfly config check reads them", "no pool takes labels %s of %s", t.kept.Labels, p.Repository)
		case t.kept.Pool != "" && t.kept.Pool != t.Pool:
			return broke("pool", t, "the first pool in the file that has all labels of a job gets it: put pool "+t.Pool+" before pool "+t.kept.Pool+", or give it a label of its own",
				"meant for pool %s, it went to pool %s", t.Pool, t.kept.Pool)
		case t.foreign:
			return broke("assignment", t, "another runner has the same labels: give the pool labels of its own", "it runs on %s, which is no runner of this mayfly", t.job.RunnerName)
		case t.completed() && t.job.Conclusion != "success":
			return broke("result", t, "its log tells: "+cmp.Or(t.job.URL, p.run.URL), "it ended with %s", cmp.Or(t.job.Conclusion, "no conclusion"))
		case t.kept.Failures >= maxFailures:
			return p.failing(t)
		}
	}
	return nil
}

// failing tells of runners that fail one after another: where they do says what to look at.
func (p *proof) failing(t *trace) *Link {
	link, hint := "start", "mayfly runners --all tells of each; its log is that of mayfly up"
	switch {
	case !t.step(ledger.RunnerIdle).IsZero():
		link, hint = "assignment", "GitHub gave it no job: does the runner group serve "+p.Repository+"?"
	case !t.runner.Claimed.IsZero() && t.runner.GitHubID == 0:
		link, hint = "claim", "GitHub registers no runner: may mayfly's credential do that where runners_at says?"
	case !t.runner.Claimed.IsZero():
		link, hint = "runner", "the runner's program does not listen: look at the pool's image, command and network"
	case !t.runner.Started.IsZero():
		link, hint = "claim", "the agent asks for its registration and gets none: mayfly runners "+string(t.runner.Name)+" tells why"
	}
	return broke(link, t, hint, "%d runners failed, the last: %s", t.kept.Failures, t.kept.LastFailure)
}

// stuck says where the first job that stands stands, and what to do about it.
func (p *proof) stuck(ctx context.Context) *Link {
	if p.run.ID == 0 {
		return broke("run", nil, "are Actions allowed in "+p.Repository+", and for this branch?", "GitHub made no run of the test workflow")
	}
	i := slices.IndexFunc(p.traces, func(t *trace) bool { return t.job.ID == 0 || !t.completed() || !t.gone() })
	switch t := p.traces[i]; {
	case t.job.ID == 0:
		return broke("run", t, "look at "+p.run.URL, "GitHub did not make it")
	case t.event.IsZero() && t.kept.Key.IsZero():
		return p.noDelivery(ctx, t)
	case t.kept.Key.IsZero():
		return broke("rule", t, "mayfly dlq list shows deliveries that were given up, mayfly quarantine list those that lack something", "its event is on the bus and the ledger has not heard of it")
	case t.completed():
		return p.left(t)
	case t.job.Action != event.ActionQueued:
		return broke("result", t, "look at "+cmp.Or(t.job.URL, p.run.URL), "it is %s on %s for longer than the test takes", t.job.Action, cmp.Or(t.job.RunnerName, "no runner"))
	default:
		return p.waiting(ctx, t)
	}
}

// left tells of a runner that stays after its job.
func (p *proof) left(t *trace) *Link {
	return broke("left", t, "mayfly runners "+string(t.runner.Name)+" tells its story", "its runner %s is %s after its end", t.runner.Name, t.runner.State)
}

// waiting tells why a job that the ledger has is not running.
func (p *proof) waiting(ctx context.Context, t *trace) *Link {
	why := "it waits"
	if state, err := p.Ledger.Snapshot(ctx); err == nil {
		why = state.Why(t.kept, time.Now()).Text
	}
	switch r := t.runner; {
	case !r.Live() && t.kept.Failures > 0:
		return p.failing(t)
	case !r.Live():
		return broke("room", t, "mayfly status shows what the pool and the host have", "%s", why)
	case r.State == ledger.RunnerWanted:
		return broke("start", t, p.alive(ctx, "mayfly dlq list shows starts that failed"), "%s", why)
	case r.Claimed.IsZero() || r.GitHubID == 0:
		return broke("claim", t, "its container was started and has no registration yet: mayfly runners "+string(r.Name)+" tells its story", "%s", why)
	case r.State == ledger.RunnerClaimed:
		return broke("runner", t, "the runner's program does not listen: look at the pool's image, command and network", "%s", why)
	}
	return broke("assignment", t, "does the runner group serve "+p.Repository+"? A public repository needs a group that allows it", "%s", why)
}

// alive is a hint, unless the pipeline is not running: that goes first.
func (p *proof) alive(ctx context.Context, hint string) string {
	if h, err := p.Health(ctx); err == nil && !h.Running {
		return h.Words
	}
	return hint
}

// noDelivery finds out why no event of a job came: asking the pipeline first, then GitHub for
// its webhook.
func (p *proof) noDelivery(ctx context.Context, t *trace) *Link {
	no := func(hint, what string, args ...any) *Link { return broke("delivery", t, hint, what, args...) }
	h, err := p.Health(ctx)
	switch {
	case err == nil && !h.Running:
		return no("start it, and test again", "none arrived: %s", h.Words)
	case err == nil && h.Quarantined > 0:
		return no("mayfly quarantine list shows what they lack", "none arrived, and %d are in quarantine", h.Quarantined)
	case p.Hook.At == "" || p.Hook.URL == "":
		return no("set webhook.at; then "+p.Hook.Command+" makes it", "none arrived, and the configuration does not say whose webhook there is and where it sends to")
	}
	at, err := pipeline.HookScope(p.Hook.At)
	if err != nil {
		return no("webhook.at: app, acme, acme/web or enterprises/SLUG", "none arrived, and %v", err)
	}
	hook, err := p.Forge.Webhook(ctx, at, p.Hook.URL)
	switch {
	case errors.Is(err, github.ErrNoWebhook):
		return no(p.Hook.Command+" makes it", "none arrived: %s has no webhook that sends to %s", at, p.Hook.URL)
	case err != nil:
		return no("mayfly webhook ping tries it", "none arrived, and GitHub does not tell of its webhook: %v", err)
	case !slices.Contains(hook.Events, event.TypeWorkflowJob) && !slices.Contains(hook.Events, "*"):
		return no(p.Hook.Command+" changes it; an App's events are ticked on its settings page", "none arrived: the webhook of %s sends no workflow_job events", at)
	case !hook.Active:
		return no(p.Hook.Command+" changes it", "none arrived: the webhook of %s is switched off", at)
	}
	failed, err := p.Forge.FailedDeliveries(ctx, at, hook.ID, p.begun.Add(-time.Minute))
	if err == nil && len(failed) > 0 {
		return no("can GitHub reach that address, and is the webhook's secret the configuration's? "+p.Hook.Command+" sets it",
			"GitHub could not deliver to %s: %d %s", p.Hook.URL, failed[0].Code, failed[0].Status)
	}
	return no("is "+p.Repository+" within "+at.String()+"? webhook.at says whose webhook it is", "none arrived, and of the webhook of %s none failed", at)
}
