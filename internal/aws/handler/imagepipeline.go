package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/image/watch"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// An imagePipeline builds and promotes the images of one architecture.
type imagePipeline struct {
	*Release
	arch    string
	store   *catalog.Catalog
	watch   *watch.Watch
	source  *build.Repository // nil if the source is a zip
	project *build.Project
	images  *build.Images
	tasks   *build.Tasks
}

func (p *imagePipeline) handle(ctx context.Context, e event.Event) error {
	switch e.DetailType {
	case contract.TypeScheduled:
		if err := errors.Join(p.adoptPushed(ctx), p.readSource(ctx), p.watch.Look(ctx)); err != nil {
			return err
		}
	case typePush:
		if err := p.readSource(ctx); err != nil {
			return err
		}
	case typeBuildState:
		if err := p.buildEnded(ctx, e); err != nil {
			return err
		}
	case contract.TypeVersionRefused, contract.TypeStartFailed:
		if err := p.runnerEnded(ctx, e); err != nil {
			return err
		}
	case contract.TypeRunwayKnown:
		if err := p.deprecated(ctx, e); err != nil {
			return err
		}
	default:
		return fmt.Errorf("detail type %q: %w", e.DetailType, pipeline.ErrNotProcessable)
	}
	return p.watch.Settle(ctx, image.Tick{})
}

// adoptPushed adds to the catalog those images in the repository that it does not know: what
// `mayfly deploy` had built before there was a catalog, and what a build has just pushed. Without a
// CodeCommit repository the newest image also tells the revision of the source.
func (p *imagePipeline) adoptPushed(ctx context.Context) error {
	pushed, err := p.images.List(ctx)
	if err != nil {
		return err
	}
	known, err := p.store.Catalog(ctx)
	if err != nil {
		return err
	}
	for _, i := range slices.Backward(pushed) { // the newest last
		if _, there := known.Find(image.Digest(i.Digest)); there || i.Architecture != p.arch {
			continue
		}
		if _, err := p.watch.Apply(ctx, image.Built{Digest: image.Digest(i.Digest), Version: image.Version(i.Version), Revision: i.Revision}); err != nil {
			return err
		}
		if p.source != nil {
			continue
		}
		if _, err := p.watch.Apply(ctx, image.Sourced{Revision: i.Revision}); err != nil {
			return err
		}
	}
	return nil
}

// readSource reports the source's revision to the catalog. The hourly event does this, too, in case
// the event of a push was lost.
func (p *imagePipeline) readSource(ctx context.Context) error {
	if p.source == nil {
		return nil
	}
	head, err := p.source.Head(ctx)
	if err != nil || head.Commit == "" {
		return err
	}
	_, err = p.watch.Apply(ctx, image.Sourced{Revision: source.Revision(head.Tree)})
	return err
}

// runnerEnded reports what the end of a runner means for its image, unless that is of another
// architecture or a pool's own.
func (p *imagePipeline) runnerEnded(ctx context.Context, e event.Event) error {
	var d news
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	known, err := p.store.Catalog(ctx)
	if err != nil {
		return err
	}
	if _, ours := known.Find(d.Image); !ours {
		return nil
	}
	var in image.Input = image.Refused{Digest: d.Image, Runner: string(d.Runner)}
	if e.DetailType == contract.TypeStartFailed {
		failed := image.StartFailed{Digest: d.Image, Runner: string(d.Runner), Reason: d.Reason}
		failed, onTrial, err := pipeline.Weigh(ctx, p.config.Runners, known, failed, p.config.Now())
		if !onTrial || err != nil {
			return err
		}
		in = failed
	}
	_, err = p.watch.Apply(ctx, in)
	return err
}

// working implements the watch's Working.
func (p *imagePipeline) working(ctx context.Context, digest image.Digest) (string, time.Time, error) {
	return pipeline.Working(ctx, p.config.Runners, digest)
}

// deprecated reports the date from which GitHub refuses a version. The catalog ignores versions
// that it has no image of.
func (p *imagePipeline) deprecated(ctx context.Context, e event.Event) error {
	var d image.Deprecated
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	_, err := p.watch.Apply(ctx, d)
	return err
}
