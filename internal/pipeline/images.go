package pipeline

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// CheckRelease asks feed for the newest release of GitHub's runner, and GitHub for when it
// refuses the version that runs, and returns what the image catalog is to be told.
func (p *Pipeline) CheckRelease(ctx context.Context, feed release.Feed, e image.CheckRelease) []image.Input {
	answer, err := feed.Latest(ctx, e.ETag)
	if err != nil {
		failed := image.FeedFailed{Reason: err.Error()}
		var limited *release.Limited
		if errors.As(err, &limited) {
			failed.Until = limited.Until
		}
		p.Log.Warn("the feed of runner releases does not answer", "err", err)
		return []image.Input{failed}
	}
	if r, ok := answer.(image.Released); ok {
		if r.Earlier, err = feed.Earlier(ctx); err != nil { // they only make the runway exact
			p.Log.Debug("earlier releases of the runner", "err", err)
		}
		answer = r
	}
	if end, told := p.RunnerEnd(ctx, e.Running); told {
		return []image.Input{end, answer}
	}
	return []image.Input{answer}
}

// RunnerEnd asks from when GitHub refuses runners of a version, and reports whether it
// told, which takes a credential, and a plan that gives dates. Where it did not, what is
// known stands, or else 30 days after the next release.
func (p *Pipeline) RunnerEnd(ctx context.Context, v image.Version) (end image.Deprecated, told bool) {
	scope, ok := p.home()
	if v == "" || !ok || p.Forge == nil {
		return image.Deprecated{}, false
	}
	at, err := p.Forge.RunnerEnd(ctx, scope, string(v))
	if err != nil {
		p.Log.Debug("until when GitHub takes a runner", "version", string(v), "err", err)
		return image.Deprecated{}, false
	}
	return image.Deprecated{Version: v, At: at}, true
}

// home is a scope that the credential reaches, where one is known.
func (p *Pipeline) home() (github.Scope, bool) {
	where := p.HookAt
	if p.Limits().Level == ledger.LevelEnterprise {
		where = p.Enterprise
	}
	scope, err := github.ParseScope(where)
	return scope, err == nil && where != "app"
}

// ImageNews returns what an input of the ledger, and what came of it, tell of the image
// that the runner was started from; nil when they tell nothing. A runner that comes to
// listen started well. One that ends before, though nobody decided so and it could
// reach us, did not. One that GitHub refuses for its version ends with a code of its own.
func ImageNews(in ledger.Input, result ledger.Result, digest image.Digest) image.Input {
	r := result.Runner
	if digest == "" || len(result.Runners) == 0 {
		return nil
	}
	switch in := in.(type) {
	case ledger.JobSeen: // GitHub may know before the agent has said so
		if in.Job.Action == event.ActionInProgress && r.Listened() == 1 && r.History[len(r.History)-1].What == string(ledger.RunnerBusy) {
			return image.Started{Digest: digest}
		}
	case ledger.Idle, ledger.Busy:
		if r.Listened() == 1 {
			return image.Started{Digest: digest}
		}
	case ledger.Gone:
		switch {
		case r.State != ledger.RunnerGone:
		case r.ExitCode == agent.ExitDeprecated:
			return image.Refused{Digest: digest, Runner: string(r.Name)}
		case r.Listened() == 0 && blames(r):
			return image.StartFailed{Digest: digest, Runner: string(r.Name), Reason: r.Reason}
		}
	}
	return nil
}

// blames reports whether the end of r, which never came to listen, may be its image's
// fault.
func blames(r ledger.Runner) bool {
	switch r.ExitCode {
	case agent.ExitUnreachable, agent.ExitRefused, agent.ExitTerminated:
		return false
	}
	return !r.Started.IsZero() && (r.Leaving == "" || r.Late)
}
