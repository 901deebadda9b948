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

// A ReleaseConfig configures a [Release].
type ReleaseConfig struct {
	AWS        aws.Config
	Stack      string
	Table      string            // the ledger's table, which also has the image catalogs
	Projects   map[string]string // CodeBuild projects by architecture
	Repository string            // ECR repository URI: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME
	Source     string            // CodeCommit repository of the image's source; "" if that is a zip uploaded by mayfly deploy

	Off      bool                // build nothing automatically
	Keep     int                 // number of good images to keep
	Runners  pipeline.RunnerList // of the ledger
	Feed     release.Feed
	Pipeline *pipeline.Pipeline                          // asks the feed; needs neither ledger nor GitHub
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Measure  func(values map[string]float64) error       // writes metrics
	Now      func() time.Time
	Log      *slog.Logger
}

// A Release keeps a stack's image up to date, with one catalog per architecture. CodeBuild builds a
// new release of GitHub's runner and runs the canary; a pushed image is promoted by new revisions
// of the task definitions. The same happens for a change of the source that was pushed to
// CodeCommit.
type Release struct {
	config    ReleaseConfig
	pipelines map[string]*imagePipeline // by architecture
}

// NewRelease returns the handler. It does no I/O.
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
			Store: p.store, Check: p.check, Build: p.build, Try: p.try, Promote: p.promote, Remove: p.remove, Look: p.listImages, Working: p.working, Alarm: p.alarm, Log: c.Log,
		})
		r.pipelines[arch] = p
	}
	return r, nil
}

// Detail types of events from AWS.
const (
	typeBuildState = "CodeBuild Build State Change"       // https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
	typePush       = "CodeCommit Repository State Change" // https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
)

// HandleAll takes events, one after another. errs[i] is what became of list[i].
func (r *Release) HandleAll(ctx context.Context, list []event.Event) (errs []error) {
	for _, e := range list {
		errs = append(errs, r.Handle(ctx, e))
	}
	return errs
}

// Handle processes one event: the hourly schedule, a push of the source, the end of a build, a
// runner that did not start, or that GitHub refused, or the date from when it will.
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
