package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/containerd/errdefs"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// check is the watch's Check.
func (i *images) check(ctx context.Context, e image.CheckRelease) []image.Input {
	return i.m.joins.CheckRelease(ctx, i.feed, e)
}

// build is the watch's Build: the archive of a release, as its checksum says, becomes an
// image in the engine's store, with the source as it is now.
func (i *images) build(ctx context.Context, e image.BuildImage) (image.Digest, error) {
	s, version, sum := i.m.config.Image, string(e.Release.Version), e.Release.SHA256[runtime.GOARCH]
	if sum == "" {
		return "", fmt.Errorf("release %s names no SHA-256 of an archive for %s", version, runtime.GOARCH)
	}
	files, err := s.Open()
	if err != nil {
		return "", err
	}
	if now := s.Revision(files); now != e.Revision { // changed meanwhile: that is to be built
		_, err := i.watch.Apply(ctx, image.Sourced{Revision: now})
		return "", err
	}
	runner, err := s.Fetcher(nil).Fetch(ctx, runtime.GOARCH, version, sum)
	if err != nil {
		return "", err
	}
	built, err := i.builder.Build(ctx, s.Request(files, i.m.config.Launcher.Agent, runner, logLines{i.m.config.Log.With("build", version)}))
	return image.Digest(built.Digest), err
}

// logLines logs what a build prints.
type logLines struct{ log *slog.Logger }

func (l logLines) Write(b []byte) (int, error) {
	l.log.Debug("image build", "line", string(b))
	return len(b), nil
}

// try is the watch's Try: a canary job here, and then one at the forge where a
// repository for it is configured.
func (i *images) try(ctx context.Context, candidate image.Image) error {
	if err := i.m.config.Try(ctx, candidate, i.m.engineSocket); err != nil || i.m.config.Image.Canary == "" {
		return err
	}
	return i.m.tryAtForge(ctx, candidate)
}

// promote is the watch's Promote.
func (i *images) promote(_ context.Context, e image.PromoteImage) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.current = e.Image.Digest
	return nil
}

// remove is the watch's Remove. One that is in use after all is asked for again.
func (i *images) remove(ctx context.Context, digest image.Digest) error {
	return i.builder.Remove(ctx, string(digest))
}

// look is the watch's Look.
func (i *images) look(ctx context.Context, known []image.Digest) (used, gone []image.Digest, err error) {
	containers, err := i.m.launcher.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range containers {
		used = append(used, image.Digest(c.Image))
	}
	for _, d := range known {
		switch has, err := i.builder.Has(ctx, string(d)); {
		case err != nil && !errdefs.IsNotFound(err):
			return nil, nil, err
		case !has:
			gone = append(gone, d)
		}
	}
	return used, gone, nil
}

// hear tells the catalog of the end of a runner, where that tells of its image.
func (i *images) hear(ctx context.Context, r ledger.Runner) {
	if err := i.judge(ctx, pipeline.ImageNews(r)); err != nil {
		i.m.config.Log.Warn("telling the image catalog of a runner", "runner", r.Name, "err", err)
	}
}

// judge gives the catalog news of an image, and with a failed start what the ledger has of
// others.
func (i *images) judge(ctx context.Context, news image.Input) error {
	if failed, ok := news.(image.StartFailed); ok {
		c, err := i.store.Catalog(ctx)
		if err != nil {
			return err
		}
		if news, ok, err = pipeline.Weigh(ctx, i.m.ledger, c, failed, time.Now()); !ok || err != nil {
			return err
		}
	}
	if news == nil {
		return nil
	}
	_, err := i.watch.Apply(ctx, news)
	return err
}

// isEngineAnswer reports whether an error is what an engine answered, rather than that it
// did not.
func isEngineAnswer(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsNotFound(err) || errdefs.IsInternal(err) || errdefs.IsConflict(err) || errdefs.IsPermissionDenied(err)
}

// learn tells the catalog of an image that it does not know.
func (i *images) learn(ctx context.Context, built image.Built) error {
	c, err := i.store.Catalog(ctx)
	if err != nil {
		return err
	}
	if _, known := c.Find(built.Digest); known {
		return nil
	}
	_, err = i.watch.Apply(ctx, built)
	return err
}

// order carries out an order, and returns the digest of the image that is current then.
func (i *images) order(ctx context.Context, o ImageOrder) (image.Digest, error) {
	in, err := o.Input()
	if err != nil {
		return "", err
	}
	if o.Promote != nil && o.Built != nil {
		if err := i.learn(ctx, *o.Built); err != nil {
			return "", err
		}
	}
	result, err := i.watch.Apply(ctx, in)
	if err != nil {
		return "", err
	}
	if result.Reason != "" {
		return "", errors.New(result.Reason)
	}
	c, err := i.store.Catalog(ctx)
	if err != nil {
		return "", err
	}
	current, _ := c.Current()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.current = current.Digest // at once, also where nobody looks after images
	return current.Digest, nil
}
