package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/image/watch"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A ReleaseConfig is what a [Release] needs.
type ReleaseConfig struct {
	AWS        aws.Config
	Stack      string
	Table      string            // the ledger's, which the image catalogs are in, too
	Projects   map[string]string // CodeBuild's, by architecture
	Repository string            // of ECR, as URI: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME
	Source     string            // CodeCommit's repository of the image's source; "" where that is a zip, which comes with mayfly deploy

	Off      bool                // nothing is built by itself
	Keep     int                 // good images that are kept
	Runners  pipeline.RunnerList // the ledger's
	Feed     release.Feed
	Pipeline *pipeline.Pipeline                          // asks the feed; it needs no ledger and no GitHub
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Measure  func(values map[string]float64) error       // writes metrics
	Now      func() time.Time
	Log      *slog.Logger
}

// A Release keeps the image of a stack up to date, one catalog for each architecture: a
// new release of GitHub's runner is built by CodeBuild, which runs the canary, too, and
// what was pushed is promoted by new revisions of the task definitions. So is a change of
// the source that was pushed to CodeCommit.
type Release struct {
	config    ReleaseConfig
	pipelines map[string]*imagePipeline // by architecture
}

// NewRelease returns the handler. Nothing is asked of AWS yet.
func NewRelease(c ReleaseConfig) (*Release, error) {
	_, name, ok := strings.Cut(c.Repository, "/")
	if !ok {
		return nil, fmt.Errorf("%s %q: want the repository's URI", contract.EnvRepository, c.Repository)
	}
	r := &Release{config: c, pipelines: map[string]*imagePipeline{}}
	for arch, project := range c.Projects {
		p := &imagePipeline{
			Release: r, arch: arch, project: build.NewProject(c.AWS, project), images: build.NewImages(c.AWS, name),
			store: catalog.New(c.AWS, catalog.Config{Table: c.Table, Architecture: arch, Now: c.Now, Settings: image.Settings{Every: 50 * time.Minute, Keep: c.Keep, Off: c.Off}}),
			tasks: build.NewTasks(c.AWS, c.Stack, c.Repository),
		}
		if c.Source != "" {
			p.source = build.NewRepository(c.AWS, c.Source)
		}
		p.watch = watch.New(watch.Config{
			Store: p.store, Check: p.check, Build: p.build, Try: p.try, Promote: p.promote, Remove: p.remove, Look: p.listImages, Alarm: p.alarm, Log: c.Log,
		})
		r.pipelines[arch] = p
	}
	return r, nil
}

// Detail types of events that come besides the stack's own.
const (
	typeScheduled  = "Scheduled Event"
	typeBuildState = "CodeBuild Build State Change"       // https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
	typePush       = "CodeCommit Repository State Change" // https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
)

// Handle takes one event: the hour has come, the source was pushed, a build has ended, a
// runner did not start, or GitHub refused one, or has said from when it does.
func (r *Release) Handle(ctx context.Context, e event.Event) error {
	var errs []error
	for _, p := range r.pipelines {
		errs = append(errs, p.handle(ctx, e))
	}
	errs = append(errs, r.measure(ctx))
	err := errors.Join(errs...)
	if err != nil {
		r.config.Log.Error("event not taken", "event", e.ID, "type", e.DetailType, "err", err)
	}
	return err
}

// measure writes the runway: the shortest of all architectures.
func (r *Release) measure(ctx context.Context) error {
	var shortest *float64
	for _, p := range r.pipelines {
		c, err := p.store.Catalog(ctx)
		if err != nil {
			return err
		}
		if left, end := c.Runway(r.config.Now()); !end.IsZero() {
			if days := left.Hours() / 24; shortest == nil || days < *shortest {
				shortest = &days
			}
		}
	}
	if shortest == nil {
		return nil
	}
	return r.config.Measure(map[string]float64{contract.MetricRunway: *shortest})
}
