package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/image/source"
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
	config ReleaseConfig
	roads  map[string]*road // by architecture
}

// A road is the way of images of one architecture.
type road struct {
	*Release
	arch    string
	store   *catalog.Catalog
	watch   *watch.Watch
	source  *build.Repository // nil where the source is a zip
	project *build.Project
	images  *build.Images
	tasks   *build.Tasks
}

// NewRelease returns the handler. Nothing is asked of AWS yet.
func NewRelease(c ReleaseConfig) (*Release, error) {
	_, name, ok := strings.Cut(c.Repository, "/")
	if !ok {
		return nil, fmt.Errorf("%s %q: want the repository's URI", contract.EnvRepository, c.Repository)
	}
	r := &Release{config: c, roads: map[string]*road{}}
	for arch, project := range c.Projects {
		w := &road{
			Release: r, arch: arch, project: build.NewProject(c.AWS, project), images: build.NewImages(c.AWS, name),
			store: catalog.New(c.AWS, catalog.Config{Table: c.Table, Architecture: arch, Now: c.Now, Settings: image.Settings{Every: 50 * time.Minute, Keep: c.Keep, Off: c.Off}}),
			tasks: build.NewTasks(c.AWS, c.Stack, c.Repository),
		}
		if c.Source != "" {
			w.source = build.NewRepository(c.AWS, c.Source)
		}
		w.watch = watch.New(watch.Config{
			Store: w.store, Check: w.check, Build: w.build, Try: w.try, Promote: w.promote, Remove: w.remove, Look: w.look, Alarm: w.alarm, Log: c.Log,
		})
		r.roads[arch] = w
	}
	return r, nil
}

// Detail types of events that come besides the stack's own.
const (
	typeBuildState = "CodeBuild Build State Change"       // https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
	typePush       = "CodeCommit Repository State Change" // https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
)

// Handle takes one event: the hour has come, the source was pushed, a build has ended, a
// runner did not start, or GitHub refused one, or has said from when it does.
func (r *Release) Handle(ctx context.Context, e event.Event) error {
	var errs []error
	for _, w := range r.roads {
		errs = append(errs, w.handle(ctx, e))
	}
	errs = append(errs, r.measure(ctx))
	err := errors.Join(errs...)
	if err != nil {
		r.config.Log.Error("event not taken", "event", e.ID, "type", e.DetailType, "err", err)
	}
	return err
}

func (w *road) handle(ctx context.Context, e event.Event) error {
	switch e.DetailType {
	case contract.TypeScheduled:
		if err := errors.Join(w.adopt(ctx), w.sourced(ctx), w.watch.Look(ctx)); err != nil {
			return err
		}
	case typePush:
		if err := w.sourced(ctx); err != nil {
			return err
		}
	case typeBuildState:
		if err := w.built(ctx, e); err != nil {
			return err
		}
	case contract.TypeVersionRefused, contract.TypeStartFailed:
		if err := w.hear(ctx, e); err != nil {
			return err
		}
	case contract.TypeRunwayKnown:
		if err := w.dated(ctx, e); err != nil {
			return err
		}
	default:
		return fmt.Errorf("detail type %q: %w", e.DetailType, pipeline.ErrUseless)
	}
	return w.watch.Settle(ctx, image.Tick{})
}

// adopt tells the catalog of images in the repository that it does not know: what
// `mayfly deploy` had built before there was a catalog, and what a build has just pushed.
// The newest says what the source is, where nothing else does.
func (w *road) adopt(ctx context.Context) error {
	pushed, err := w.images.List(ctx)
	if err != nil {
		return err
	}
	known, err := w.store.Catalog(ctx)
	if err != nil {
		return err
	}
	for _, i := range slices.Backward(pushed) { // the newest last
		if _, there := known.Find(image.Digest(i.Digest)); there || i.Architecture != w.arch {
			continue
		}
		if _, err := w.watch.Apply(ctx, image.Built{Digest: image.Digest(i.Digest), Version: image.Version(i.Version), Revision: i.Revision}); err != nil {
			return err
		}
		if w.source != nil {
			continue
		}
		if _, err := w.watch.Apply(ctx, image.Sourced{Revision: i.Revision}); err != nil {
			return err
		}
	}
	return nil
}

// sourced tells the catalog what the source is now. A push whose event was lost is seen
// so by the next hour.
func (w *road) sourced(ctx context.Context) error {
	if w.source == nil {
		return nil
	}
	head, err := w.source.Head(ctx)
	if err != nil || head.Commit == "" {
		return err
	}
	_, err = w.watch.Apply(ctx, image.Sourced{Revision: source.Revision(head.Tree)})
	return err
}

// A buildState is what CodeBuild says of a build that has ended.
type buildState struct {
	Project string `json:"project-name"`
	Status  string `json:"build-status"`
	More    struct {
		Environment struct {
			Variables []struct{ Name, Value string } `json:"environment-variables"`
		} `json:"environment"`
		Phases []struct {
			Type    string   `json:"phase-type"`
			Status  string   `json:"phase-status"`
			Context []string `json:"phase-context"`
		} `json:"phases"`
	} `json:"additional-information"`
}

func (b buildState) variable(name string) string {
	for _, v := range b.More.Environment.Variables {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func (b buildState) version() image.Version { return image.Version(b.variable("RUNNER_VERSION")) }
func (b buildState) revision() string       { return b.variable("SOURCE_REVISION") }

// reason says which phase failed, and with what.
func (b buildState) reason() string {
	for _, p := range b.More.Phases {
		if p.Status != "" && p.Status != "SUCCEEDED" {
			return fmt.Sprintf("build %s in phase %s: %s", b.Status, p.Type, strings.Join(p.Context, "; "))
		}
	}
	return "build " + b.Status
}

// built takes the end of a build.
func (w *road) built(ctx context.Context, e event.Event) error {
	var b buildState
	if err := json.Unmarshal(e.Detail, &b); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrUseless, err)
	}
	switch {
	case b.Project != w.project.Name:
		return nil
	case b.Status == "SUCCEEDED":
		if err := w.adopt(ctx); err != nil {
			return err
		}
	default:
		if _, err := w.watch.Apply(ctx, image.BuildFailed{Version: b.version(), Revision: b.revision(), Reason: b.reason()}); err != nil {
			return err
		}
	}
	return w.next(ctx, b)
}

// next starts the build that has waited for the end of b, if one has: one is built at a time.
func (w *road) next(ctx context.Context, b buildState) error {
	c, err := w.store.Catalog(ctx)
	if err != nil || c.Build == nil || w.config.Now().Before(c.Build.NotBefore) {
		return err
	}
	if c.Build.Release.Version == b.version() && c.Build.Revision == b.revision() {
		return nil
	}
	return w.watch.Do(ctx, image.BuildImage{Release: c.Build.Release, Revision: c.Build.Revision, Why: c.Build.Why})
}

// hear takes what the end of a runner tells of its image, unless that is of another
// architecture, or of a pool's own.
func (w *road) hear(ctx context.Context, e event.Event) error {
	var d news
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrUseless, err)
	}
	known, err := w.store.Catalog(ctx)
	if err != nil {
		return err
	}
	if _, ours := known.Find(d.Image); !ours {
		return nil
	}
	var in image.Input = image.Refused{Digest: d.Image, Runner: string(d.Runner)}
	if e.DetailType == contract.TypeStartFailed {
		failed := image.StartFailed{Digest: d.Image, Runner: string(d.Runner), Reason: d.Reason}
		failed, onTrial, err := pipeline.Weigh(ctx, w.config.Runners, known, failed, w.config.Now())
		if !onTrial || err != nil {
			return err
		}
		in = failed
	}
	_, err = w.watch.Apply(ctx, in)
	return err
}

// dated takes the date from which GitHub refuses a version. One that this catalog has no
// image of is forgotten there.
func (w *road) dated(ctx context.Context, e event.Event) error {
	var d image.Deprecated
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrUseless, err)
	}
	_, err := w.watch.Apply(ctx, d)
	return err
}

// measure writes the runway: the shortest of all architectures.
func (r *Release) measure(ctx context.Context) error {
	var shortest *float64
	for _, w := range r.roads {
		c, err := w.store.Catalog(ctx)
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

// check asks the feed, and has the sweep ask GitHub how long it takes the version that
// runs, since that takes the App's key. The answer comes as an event.
func (w *road) check(ctx context.Context, e image.CheckRelease) []image.Input {
	if e.Running != "" {
		if err := w.publish(ctx, contract.TypeRunwayUncertain, image.Deprecated{Version: e.Running}); err != nil {
			w.config.Log.Warn("until when GitHub takes a runner is not asked for", "version", string(e.Running), "err", err) // the next hour does
		}
	}
	return w.config.Pipeline.CheckRelease(ctx, w.config.Feed, e)
}

// build starts a build of the commit that has the revision; its end comes as an event,
// and so does that of another build which has to be waited for.
func (w *road) build(ctx context.Context, e image.BuildImage) (image.Digest, error) {
	sum := e.Release.SHA256[w.arch]
	if sum == "" {
		return "", fmt.Errorf("release %s names no SHA-256 of an archive for %s", e.Release.Version, w.arch)
	}
	var head build.Head
	if w.source != nil {
		var err error
		if head, err = w.source.Head(ctx); err != nil {
			return "", err
		}
		if now := source.Revision(head.Tree); now != e.Revision { // pushed meanwhile: that is to be built
			_, err := w.watch.Apply(ctx, image.Sourced{Revision: now})
			return "", err
		}
	}
	_, err := w.project.Start(ctx, head.Commit, build.Variables(string(e.Release.Version), sum, e.Revision))
	if other := (*build.Busy)(nil); errors.As(err, &other) {
		w.config.Log.Info("a build waits for another", "runner", string(e.Release.Version), "source", e.Revision, "build", other.Build.ID)
		return "", nil
	}
	return "", err
}

// try has nothing to do: a build pushes no image whose canary has not passed.
func (w *road) try(context.Context, image.Image) error { return nil }

func (w *road) promote(ctx context.Context, e image.PromoteImage) error {
	return w.tasks.Launch(ctx, w.arch, e, w.config.Publish, w.config.Now())
}

func (w *road) remove(ctx context.Context, digest image.Digest) error {
	return w.images.Remove(ctx, string(digest))
}

// look returns what tasks are launched from, and what is not in the repository any more.
func (w *road) look(ctx context.Context, known []image.Digest) (used, gone []image.Digest, err error) {
	launched, err := w.tasks.Current(ctx)
	if err != nil {
		return nil, nil, err
	}
	pushed, err := w.images.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range known {
		if !slices.ContainsFunc(pushed, func(i build.Image) bool { return i.Digest == string(d) }) {
			gone = append(gone, d)
		}
	}
	return []image.Digest{image.Digest(launched[w.arch])}, gone, nil
}

func (w *road) alarm(ctx context.Context, a image.Alarm) error {
	return w.publish(ctx, event.TypeImageAlarm, a)
}

func (w *road) publish(ctx context.Context, kind string, detail any) error {
	return publish(ctx, w.config.Publish, w.config.Now(), kind, detail)
}

// publish puts an event of Mayfly's own on the bus.
func publish(ctx context.Context, put func(context.Context, ...event.Event) error, now time.Time, kind string, detail any) error {
	e, err := event.Say(kind, detail, now)
	if err != nil {
		return err
	}
	return put(ctx, e)
}
