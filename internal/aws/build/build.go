// Package build is the road of the runner image on AWS: its source in CodeCommit, its
// builds in CodeBuild, the images in ECR, and the task definitions that launch one of
// them. The tool and the release handler take it; which image is good is for
// internal/image to decide.
package build

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Project is one CodeBuild project.
type Project struct {
	Name string
	Look time.Duration // between looks at a build that runs

	builds *codebuild.Client
	logs   *cloudwatchlogs.Client
}

// NewProject returns the project called name.
func NewProject(c aws.Config, name string) *Project {
	return &Project{Name: name, Look: 3 * time.Second, builds: codebuild.NewFromConfig(c), logs: cloudwatchlogs.NewFromConfig(c)}
}

// A Build is one run of a project.
type Build struct {
	ID       string
	Status   string            // IN_PROGRESS, SUCCEEDED, FAILED, FAULT, TIMED_OUT or STOPPED
	Env      map[string]string // what it was started with
	Exported map[string]string // what it exports by its buildspec, such as IMAGE_DIGEST; known at its end
	Page     string            // address of its log for a browser
	Reason   string            // which phase failed, and why
	Ended    bool

	group, stream string // of its log; "" before it has one
}

// Succeeded reports whether b did what it was for.
func (b Build) Succeeded() bool { return b.Status == string(types.StatusTypeSucceeded) }

// Busy is the error of a project that has something else to build: it builds one at a
// time, so that images come in the order in which their sources did.
type Busy struct{ Build Build }

// Error says which build is in the way.
func (b *Busy) Error() string {
	return fmt.Sprintf("build %s is running: want its end first", b.Build.ID)
}

// Start starts a build of a commit of the source, with variables besides those of the
// project; "" is whatever the project is set to. A build with the same variables that is
// running already is returned instead, so that starting again after an interruption starts
// none too many. The error is a [Busy] while another is running.
func (p *Project) Start(ctx context.Context, commit string, env map[string]string) (Build, error) {
	running, err := p.running(ctx)
	switch {
	case err != nil:
		return Build{}, err
	case running != nil && includes(running.Env, env):
		return *running, nil
	case running != nil:
		return Build{}, &Busy{*running}
	}
	in := &codebuild.StartBuildInput{ProjectName: &p.Name}
	if commit != "" {
		in.SourceVersion = &commit
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		in.EnvironmentVariablesOverride = append(in.EnvironmentVariablesOverride, types.EnvironmentVariable{
			Name: aws.String(name), Value: aws.String(env[name]), Type: types.EnvironmentVariableTypePlaintext,
		})
	}
	out, err := p.builds.StartBuild(ctx, in)
	if err != nil {
		return Build{}, fmt.Errorf("starting a build of %s: %w", p.Name, err)
	}
	return newBuild(*out.Build), nil
}

// running returns the build that runs; nil when none does.
func (p *Project) running(ctx context.Context) (*Build, error) {
	list, err := p.builds.ListBuildsForProject(ctx, &codebuild.ListBuildsForProjectInput{ProjectName: &p.Name, SortOrder: types.SortOrderTypeDescending})
	if err != nil {
		return nil, fmt.Errorf("builds of %s: %w", p.Name, err)
	}
	if len(list.Ids) == 0 {
		return nil, nil
	}
	recent, err := p.read(ctx, list.Ids[:min(len(list.Ids), 10)]...)
	if err != nil {
		return nil, err
	}
	for _, b := range recent {
		if !b.Ended && b.Status == string(types.StatusTypeInProgress) { // what has a status is out of the way, if not cleared up yet
			return &b, nil
		}
	}
	return nil, nil
}

func includes(all, some map[string]string) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}

func (p *Project) read(ctx context.Context, ids ...string) ([]Build, error) {
	out, err := p.builds.BatchGetBuilds(ctx, &codebuild.BatchGetBuildsInput{Ids: ids})
	if err != nil {
		return nil, fmt.Errorf("builds of %s: %w", p.Name, err)
	}
	if len(out.BuildsNotFound) > 0 {
		return nil, fmt.Errorf("builds of %s: there is no %s", p.Name, strings.Join(out.BuildsNotFound, ", "))
	}
	var builds []Build
	for _, b := range out.Builds {
		builds = append(builds, newBuild(b))
	}
	return builds, nil
}

func newBuild(b types.Build) Build {
	n := Build{
		ID: aws.ToString(b.Id), Status: string(b.BuildStatus), Ended: b.BuildComplete,
		Env: map[string]string{}, Exported: map[string]string{},
	}
	if b.Environment != nil {
		for _, v := range b.Environment.EnvironmentVariables {
			n.Env[aws.ToString(v.Name)] = aws.ToString(v.Value)
		}
	}
	for _, v := range b.ExportedEnvironmentVariables {
		n.Exported[aws.ToString(v.Name)] = aws.ToString(v.Value)
	}
	if l := b.Logs; l != nil {
		n.group, n.stream, n.Page = aws.ToString(l.GroupName), aws.ToString(l.StreamName), aws.ToString(l.DeepLink)
	}
	for _, phase := range b.Phases {
		for _, c := range phase.Contexts {
			if message := aws.ToString(c.Message); message != "" && phase.PhaseStatus != types.StatusTypeSucceeded && n.Reason == "" {
				n.Reason = string(phase.PhaseType) + ": " + message
			}
		}
	}
	return n
}

// Follow gives each line of a build's log to line, as it comes, until the build ends.
// A build that did not succeed is an error that says which phase failed.
func (p *Project) Follow(ctx context.Context, id string, line func(string)) (Build, error) {
	var at *string // how far the log has been read
	for {
		builds, err := p.read(ctx, id)
		if err != nil {
			return Build{}, err
		}
		b := builds[0]
		if at, err = p.tail(ctx, b, at, line); err != nil {
			return b, err
		}
		switch {
		case b.Ended && b.Succeeded():
			return b, nil
		case b.Ended:
			return b, refusal.New(fmt.Errorf("build %s: %s: %s", b.ID, b.Status, b.Reason), "its log says more: %s", b.Page)
		}
		select {
		case <-ctx.Done():
			return b, fmt.Errorf("build %s goes on: %w", b.ID, ctx.Err())
		case <-time.After(p.Look):
		}
	}
}

// tail reads what has come to the log since at.
func (p *Project) tail(ctx context.Context, b Build, at *string, line func(string)) (*string, error) {
	for b.group != "" && b.stream != "" {
		out, err := p.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: &b.group, LogStreamName: &b.stream, StartFromHead: aws.Bool(true), NextToken: at,
		})
		switch {
		case refusal.Is(err, "ResourceNotFoundException"): // it has said nothing yet
			return at, nil
		case err != nil:
			return at, fmt.Errorf("log of build %s: %w", b.ID, err)
		}
		for _, e := range out.Events {
			line(strings.TrimRight(aws.ToString(e.Message), "\r\n"))
		}
		end := at != nil && aws.ToString(out.NextForwardToken) == *at
		if at = out.NextForwardToken; end || at == nil {
			return at, nil
		}
	}
	return at, nil
}

// ExportedDigest is the variable by which a build tells of its image.
const ExportedDigest = "IMAGE_DIGEST"

// Variables are those that a build of an image is started with, as codebuild.sh in the
// image's source wants them.
func Variables(version, sha256, revision string) map[string]string {
	return map[string]string{"RUNNER_VERSION": version, "RUNNER_SHA256": sha256, "SOURCE_REVISION": revision}
}

var digests = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// IsDigest reports whether text is that of an image.
func IsDigest(text string) bool { return digests.MatchString(text) }
