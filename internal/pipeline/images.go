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

// CheckRelease asks feed for the newest release of the forge's runner, and the forge for when it will
// refuse the current version, where it does, and returns the inputs for the image catalog.
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
		if r.Earlier, err = feed.Earlier(ctx); err != nil { // they only make the runway more precise
			p.Log.Debug("earlier releases of the runner", "err", err)
		}
		answer = r
	}
	if end, told := p.RunnerEnd(ctx, e.Running); told {
		return []image.Input{end, answer}
	}
	return []image.Input{answer}
}

// runnerDates is a forge that refuses runners of an old version, and tells from when.
type runnerDates interface {
	RunnerEnd(ctx context.Context, at forge.Scope, version string) (time.Time, error)
}

// RunnerEnd asks from when GitHub refuses runners of a version, and reports whether GitHub
// answered, which requires a credential and a plan with such dates. Otherwise the known date stays,
// or 30 days after the next release.
func (p *Pipeline) RunnerEnd(ctx context.Context, v image.Version) (end image.Deprecated, told bool) {
	scope, ok := p.home()
	dates, tells := p.Forge.(runnerDates)
	if v == "" || !ok || !tells {
		return image.Deprecated{}, false
	}
	at, err := dates.RunnerEnd(ctx, scope, string(v))
	if err != nil {
		p.Log.Debug("until when the forge takes a runner", "version", string(v), "err", err)
		return image.Deprecated{}, false
	}
	return image.Deprecated{Version: v, At: at}, true
}

// home returns a scope that the credential reaches, if one is known.
func (p *Pipeline) home() (forge.Scope, bool) {
	where := p.HookAt
	if p.Limits().Level == ledger.LevelEnterprise {
		where = p.Enterprise
	}
	scope, err := forge.ParseScope(where)
	return scope, err == nil && where != "app"
}

// ImageNews returns what the end of r tells about the image it started from; nil if nothing. A
// runner whose version GitHub refuses ends with its own exit code.
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

// FromOutside reports whether the exit code of a runner's agent means that its image is not to
// blame: it could not reach us, may not claim, was told to leave, or GitHub refuses its version,
// which is reported separately.
func FromOutside(code int) bool {
	switch code {
	case agent.ExitUnreachable, agent.ExitRefused, agent.ExitTerminated, agent.ExitDeprecated:
		return true
	}
	return false
}

// A RunnerList is what judging images reads of a ledger.
type RunnerList interface {
	Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error)
}

// Weigh completes in with the outcomes of the last starts from its image and from the one that it
// is compared with. Ok is false if the image is not on trial in c, so that in does not count.
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

// Working returns the runner from an image that claimed last, of those that GitHub gave a job, and when
// it claimed; "" if list has none.
func Working(ctx context.Context, list RunnerList, digest image.Digest) (runner string, claimed time.Time, err error) {
	runners, err := list.Runners(ctx, ledger.RunnerQuery{Image: string(digest), Limit: image.LastStarts})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("runners from image %s: %w", digest.Short(), err)
	}
	for _, r := range runners {
		if !r.Runs.IsZero() && r.Claimed.After(claimed) {
			runner, claimed = string(r.Name), r.Claimed
		}
	}
	return runner, claimed, nil
}

// Starts returns the outcomes of the last starts from an image, of those that list has since then.
func Starts(ctx context.Context, list RunnerList, digest image.Digest, since time.Time) (s image.Starts, err error) {
	runners, err := list.Runners(ctx, ledger.RunnerQuery{Image: string(digest), Limit: image.LastStarts})
	if err != nil {
		return s, fmt.Errorf("how runners from image %s started: %w", digest.Short(), err)
	}
	for _, r := range runners {
		if r.Since.Before(since) {
			continue // the same image when it was current before
		}
		s.All++
		if well, _ := r.Outcome(); !well {
			s.Failed++
		}
	}
	return s, nil
}
