package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/forge"
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

// runnerDates is a forge that refuses runners of an old version, and says from when.
type runnerDates interface {
	RunnerEnd(ctx context.Context, at forge.Scope, version string) (time.Time, error)
}

// RunnerEnd asks from when GitHub refuses runners of a version, and reports whether it
// told, which takes a credential, and a plan that gives dates. Where it did not, what is
// known stands, or else 30 days after the next release.
func (p *Pipeline) RunnerEnd(ctx context.Context, v image.Version) (end image.Deprecated, told bool) {
	scope, ok := p.home()
	dates, tells := p.Forge.(runnerDates)
	if v == "" || !ok || !tells {
		return image.Deprecated{}, false
	}
	at, err := dates.RunnerEnd(ctx, scope, string(v))
	if err != nil {
		p.Log.Debug("until when GitHub takes a runner", "version", string(v), "err", err)
		return image.Deprecated{}, false
	}
	return image.Deprecated{Version: v, At: at}, true
}

// home is a scope that the credential reaches, where one is known.
func (p *Pipeline) home() (forge.Scope, bool) {
	where := p.HookAt
	if p.Limits().Level == ledger.LevelEnterprise {
		where = p.Enterprise
	}
	scope, err := forge.ParseScope(where)
	return scope, err == nil && where != "app"
}

// ImageNews returns what the end of r tells of the image that r was started from; nil when
// it tells nothing. A runner that GitHub refuses for its version ends with a code of its own.
func ImageNews(r ledger.Runner) image.Input {
	digest := image.Digest(r.Image)
	switch well, known := r.Outcome(); {
	case digest == "" || r.State != ledger.RunnerGone:
		return nil
	case r.ExitCode == agent.ExitDeprecated:
		return image.Refused{Digest: digest, Runner: string(r.Name)}
	case known && !well:
		return image.StartFailed{Digest: digest, Runner: string(r.Name), Reason: r.Reason}
	}
	return nil
}

// FromOutside reports whether the exit code of a runner's agent says that it ended for
// no fault of its image: it could not reach us, may not claim, was told to leave, or GitHub
// refuses its version, which says so in its own way.
func FromOutside(code int) bool {
	switch code {
	case agent.ExitUnreachable, agent.ExitRefused, agent.ExitTerminated, agent.ExitDeprecated:
		return true
	}
	return false
}

// A RunnerList is what is read of a ledger to judge images.
type RunnerList interface {
	Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error)
}

// Weigh returns in with how the last starts went, by what list has of them, from its
// image and from the one that it is held against; ok is false when that is of no use, since
// the image is not on trial in c.
func Weigh(ctx context.Context, list RunnerList, c *image.Catalog, in image.StartFailed, now time.Time) (_ image.StartFailed, ok bool, err error) {
	trial, ok := c.OnTrial(in.Digest, now)
	if !ok {
		return in, false, nil
	}
	if in.Starts, err = Starts(ctx, list, trial.Digest, trial.Promoted); err != nil {
		return in, false, err
	}
	in.Before, err = Starts(ctx, list, trial.Against, time.Time{})
	return in, err == nil, err
}

// Starts returns how the last starts from an image went, by what list has of those that
// came out since then.
func Starts(ctx context.Context, list RunnerList, digest image.Digest, since time.Time) (s image.Starts, err error) {
	runners, err := list.Runners(ctx, ledger.RunnerQuery{Image: string(digest), Limit: image.LastStarts})
	if err != nil {
		return s, fmt.Errorf("how runners from image %s started: %w", digest.Short(), err)
	}
	for _, r := range runners {
		if r.Since.Before(since) {
			continue // the same image, when it was current before
		}
		s.All++
		if well, _ := r.Outcome(); !well {
			s.Failed++
		}
	}
	return s, nil
}
