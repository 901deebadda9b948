package machine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/containerd/errdefs"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// check implements the watch's Check.
func (i *images) check(ctx context.Context, e image.CheckRelease) []image.Input {
	return i.m.pipeline.CheckRelease(ctx, i.feed, e)
}

// build implements the watch's Build: an image of the release's archive, verified by its checksum,
// and of the present source.
func (i *images) build(ctx context.Context, e image.BuildImage) (image.Digest, error) {
	s, version, sum := i.m.config.Image, string(e.Release.Version), e.Release.SHA256[runtime.GOARCH]
	if sum == "" {
		return "", fmt.Errorf("release %s names no SHA-256 of an archive for %s", version, runtime.GOARCH)
	}
	files, err := s.Open()
	if err != nil {
		return "", err
	}
	if now := s.Revision(files); now != e.Revision { // changed meanwhile: build that instead
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

// logLines logs the output of a build.
type logLines struct{ log *slog.Logger }

func (l logLines) Write(b []byte) (int, error) {
	l.log.Debug("image build", "line", string(b))
	return len(b), nil
}

// try implements the watch's Try: a canary job here, and then one at the forge if a repository for
// it is configured.
func (i *images) try(ctx context.Context, candidate image.Image) error {
	if err := i.m.config.Try(ctx, candidate, i.m.engineSocket); err != nil || i.m.config.Image.Canary == "" {
		return err
	}
	return i.m.tryAtForge(ctx, candidate)
}

// promote implements the watch's Promote.
func (i *images) promote(ctx context.Context, e image.PromoteImage) error {
	i.mu.Lock()
	i.current = e.Image.Digest
	i.mu.Unlock()
	_, err := i.m.ledger.Apply(ctx, ledger.Promoted{Image: string(e.Image.Digest)})
	return err
}

// remove implements the watch's Remove. The catalog repeats it for an image that turns out to be in
// use.
func (i *images) remove(ctx context.Context, digest image.Digest) error {
	return i.builder.Remove(ctx, string(digest))
}

// look implements the watch's Look.
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

// working implements the watch's Working.
func (i *images) working(ctx context.Context, digest image.Digest) (string, time.Time, error) {
	return pipeline.Working(ctx, i.m.ledger, digest)
}

// hear reports the end of a runner to the catalog, if it says something about an image.
func (i *images) hear(ctx context.Context, r ledger.Runner) {
	if err := i.judge(ctx, pipeline.ImageNews(r)); err != nil {
		i.m.config.Log.Warn("telling the image catalog of a runner", "runner", r.Name, "err", err)
	}
}

// judge reports news to the catalog; a failed start together with the outcomes of other starts in
// the ledger.
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

// isEngineAnswer reports whether err is an answer of the engine, rather than a failure to get one.
func isEngineAnswer(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsNotFound(err) || errdefs.IsInternal(err) || errdefs.IsConflict(err) || errdefs.IsPermissionDenied(err)
}
