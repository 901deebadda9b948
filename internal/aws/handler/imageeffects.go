package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/source"
)

// check asks the feed, and has the sweep ask GitHub how long it accepts the current version,
// because that takes the App's key. The answer arrives as an event.
func (p *imagePipeline) check(ctx context.Context, e image.CheckRelease) []image.Input {
	if e.Running != "" {
		if err := p.publish(ctx, contract.TypeRunwayUncertain, image.Deprecated{Version: e.Running}); err != nil {
			p.config.Log.Warn("until when GitHub takes a runner is not asked for", "version", string(e.Running), "err", err) // the next hour repeats it
		}
	}
	return p.config.Pipeline.CheckRelease(ctx, p.config.Feed, e)
}

// build starts a build of the commit with that revision. Its end arrives as an event, as does that
// of another build that it has to wait for.
func (p *imagePipeline) build(ctx context.Context, e image.BuildImage) (image.Digest, error) {
	sum := e.Release.SHA256[p.arch]
	if sum == "" {
		return "", fmt.Errorf("release %s names no SHA-256 of an archive for %s", e.Release.Version, p.arch)
	}
	var head build.Head
	if p.source != nil {
		var err error
		if head, err = p.source.Head(ctx); err != nil {
			return "", err
		}
		if now := source.Revision(head.Tree); now != e.Revision { // pushed meanwhile: build that instead
			_, err := p.watch.Apply(ctx, image.Sourced{Revision: now})
			return "", err
		}
	}
	_, err := p.project.Start(ctx, head.Commit, build.Variables(string(e.Release.Version), sum, e.Revision))
	if other := (*build.Busy)(nil); errors.As(err, &other) {
		p.config.Log.Info("a build waits for another", "runner", string(e.Release.Version), "source", e.Revision, "build", other.Build.ID)
		return "", nil
	}
	return "", err
}

// try has nothing to do: a build pushes only images whose canary passed.
func (w *imagePipeline) try(context.Context, image.Image) error { return nil }

func (p *imagePipeline) promote(ctx context.Context, e image.PromoteImage) error {
	if _, err := p.tasks.Promote(ctx, p.arch, string(e.Image.Digest)); err != nil {
		return err
	}
	return p.publish(ctx, event.TypeImagePromoted, e)
}

func (p *imagePipeline) remove(ctx context.Context, digest image.Digest) error {
	return p.images.Remove(ctx, string(digest))
}

// listImages returns the image that tasks start from, and the known ones that the repository no
// longer has.
func (p *imagePipeline) listImages(ctx context.Context, known []image.Digest) (used, gone []image.Digest, err error) {
	launched, err := p.tasks.Current(ctx)
	if err != nil {
		return nil, nil, err
	}
	pushed, err := p.images.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range known {
		if !slices.ContainsFunc(pushed, func(i build.Image) bool { return i.Digest == string(d) }) {
			gone = append(gone, d)
		}
	}
	return []image.Digest{image.Digest(launched[p.arch])}, gone, nil
}

func (p *imagePipeline) alarm(ctx context.Context, a image.Alarm) error {
	return p.publish(ctx, event.TypeImageAlarm, a)
}

func (p *imagePipeline) publish(ctx context.Context, kind string, detail any) error {
	return publish(ctx, p.config.Publish, p.config.Now(), kind, detail)
}

// publish puts one of Mayfly's own events on the bus.
func publish(ctx context.Context, put func(context.Context, ...event.Event) error, now time.Time, kind string, detail any) error {
	e, err := event.Say(kind, detail, now)
	if err != nil {
		return err
	}
	return put(ctx, e)
}
