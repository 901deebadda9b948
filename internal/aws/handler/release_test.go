package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

var appToken = secret.New("a token")

const imageURI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ci-images"

// push is CodeCommit's event of a push.
var push = event.Event{ID: "push", Source: "aws.codecommit", DetailType: "CodeCommit Repository State Change", Detail: json.RawMessage(
	`{"event": "referenceUpdated", "repositoryName": "ci-image", "referenceType": "branch", "referenceName": "main"}`)}

// A foundry is the release function with a stack's repository, builds, tasks and table,
// and a GitHub with releases. Builds are not in moto: awstest.CodeBuild answers.
type foundry struct {
	*testing.T
	*handler.Release
	config    aws.Config // past the recorder
	builds    *awstest.CodeBuild
	source    *build.Repository // that of the image's source, past the recorder, with one commit
	commits   []string          // that were built, in turn
	front     *awstest.Front
	sim       *githubsim.Sim
	hub       string // its address
	began     time.Time
	passed    atomic.Int64 // since then; the simulated GitHub looks at the clock when it likes
	fault     string       // of builds; "" when they succeed
	images    int          // pushed
	published []event.Event
	ended     []event.Event // of builds, not handled yet
	told      []event.Event // by the ledger function, not handled yet
	runway    float64
}

func newFoundry(t *testing.T, edit ...func(*handler.ReleaseConfig)) *foundry {
	t.Helper()
	cloud := awstest.Start(t)
	f := &foundry{T: t, config: cloud.Config, began: time.Now().Truncate(time.Second), builds: &awstest.CodeBuild{}}
	f.builds.SetProject("ci-build", true)
	f.builds.Run = f.build
	git := &awstest.CodeCommit{}
	git.SetRepository("ci-image", true)
	f.source = build.NewRepository(cloud.Front(t, map[string]http.Handler{"codecommit": git.Handler()}).Config, "ci-image")
	f.front = cloud.Front(t, map[string]http.Handler{"codebuild": f.builds.Handler(), "codecommit": git.Handler()})
	t.Cleanup(func() { note(contract.HandlerRelease, slices.Collect(maps.Keys(f.front.Calls()))) })
	f.makeStack(f.commit("FROM debian"))
	sim, err := githubsim.New(githubsim.Config{Log: slog.New(slog.DiscardHandler), Now: f.clock, Dir: t.TempDir(), RunnerVersion: "2.300.0", Tokens: []secret.Secret{appToken}})
	if err != nil {
		t.Fatal(err)
	}
	hub := httptest.NewServer(sim)
	t.Cleanup(func() { hub.Close(); sim.Close() })
	f.sim, f.hub = sim, hub.URL
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	c := handler.ReleaseConfig{
		AWS: f.front.Config, Stack: "ci", Table: "ledger", Projects: map[string]string{"amd64": "ci-build"}, Repository: imageURI, Source: "ci-image",
		Feed:     release.Feed{Product: archive.Actions, URL: hub.URL + "/api/v3", Now: f.clock},
		Pipeline: pipeline.New(pipeline.Config{Limits: func() ledger.Limits { return ledger.Limits{} }, Log: log}),
		Publish: func(_ context.Context, events ...event.Event) error {
			f.published = append(f.published, events...)
			return nil
		},
		Runners: dynamo.New(dynamodb.NewFromConfig(f.front.Config), dynamo.Config{Table: "ledger"}),
		Measure: func(values map[string]float64) error { f.runway = values[contract.MetricRunway]; return nil },
		Now:     f.clock, Log: log,
	}
	for _, e := range edit {
		e(&c)
	}
	if f.Release, err = handler.NewRelease(c); err != nil {
		t.Fatal(err)
	}
	return f
}

// books is the ledger function over the same table. What it tells is kept until the release
// function has handled it.
func (f *foundry) books() *handler.Ledger {
	limits := ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}}
	log := slog.New(slog.NewTextHandler(f.Output(), nil))
	store := dynamo.New(dynamodb.NewFromConfig(f.config), dynamo.Config{
		Table: "ledger", Limits: limits, Log: log, Now: f.clock,
		Emit: func(context.Context, []ledger.Effect) error { return nil },
	})
	return &handler.Ledger{
		Pipeline: pipeline.New(pipeline.Config{Ledger: store, Limits: func() ledger.Limits { return limits }, Log: log}),
		Tasks:    handler.NewTasks(nil, "ci", "ci"), Now: f.clock, Log: log,
		Publish: func(_ context.Context, events ...event.Event) error {
			f.told = append(f.told, events...)
			return nil
		},
	}
}

func (f *foundry) clock() time.Time { return f.began.Add(time.Duration(f.passed.Load())) }

// commit makes the source consist of a Dockerfile, as mayfly deploy does, and returns its revision.
func (f *foundry) commit(dockerfile string) (revision string) {
	f.Helper()
	_, _, err := f.source.Commit(f.Context(), []build.File{{Name: source.Dockerfile, Body: []byte(dockerfile)}}, "a change", false)
	if err != nil {
		f.Fatal(err)
	}
	return source.Revision(f.head().Tree)
}

func (f *foundry) head() build.Head {
	f.Helper()
	head, err := f.source.Head(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return head
}

// makeStack makes what the stack has, with an image that mayfly deploy has built.
func (f *foundry) makeStack(revision string) {
	f.Helper()
	ctx := f.Context()
	_, err1 := dynamodb.NewFromConfig(f.config).CreateTable(ctx, awstest.LedgerTable("ledger"))
	_, err2 := ecr.NewFromConfig(f.config).CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("ci-images")})
	if err1 != nil || err2 != nil {
		f.Fatal(err1, err2)
	}
	first := f.push("2.336.0", revision)
	_, err := ecs.NewFromConfig(f.config).RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("ci-small"), RuntimePlatform: &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureX8664},
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("runner"), Image: aws.String(imageURI + "@" + first), Memory: aws.Int32(512)}},
	})
	if err != nil {
		f.Fatal(err)
	}
}

// push puts an image into the repository, as a build does.
func (f *foundry) push(version, revision string) (digest string) {
	f.Helper()
	f.images++
	tag := fmt.Sprintf("%s-%s-amd64-%d", version, revision, f.images)
	manifest := fmt.Sprintf(`{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"mediaType": "x", "size": 1, "digest": "sha256:%064x"}, "layers": [{"mediaType": "x", "size": 1, "digest": "sha256:%064x"}]}`, f.images, f.images)
	out, err := ecr.NewFromConfig(f.config).PutImage(context.Background(), &ecr.PutImageInput{RepositoryName: aws.String("ci-images"), ImageManifest: &manifest, ImageTag: &tag})
	if err != nil {
		f.Error(err)
		return ""
	}
	return *out.Image.ImageId.ImageDigest
}

// build is a build of CodeBuild's; its end comes as an event.
func (f *foundry) build(project, commit string, env map[string]string) awstest.Built {
	f.commits = append(f.commits, commit)
	status, digest := "SUCCEEDED", ""
	if f.fault != "" {
		status = "FAILED"
	} else {
		digest = f.push(env["RUNNER_VERSION"], env["SOURCE_REVISION"])
	}
	var variables []map[string]string
	for name, value := range env {
		variables = append(variables, map[string]string{"name": name, "value": value, "type": "PLAINTEXT"})
	}
	detail, _ := json.Marshal(map[string]any{
		"project-name": project, "build-status": status,
		"additional-information": map[string]any{
			"environment": map[string]any{"environment-variables": variables},
			"phases":      []map[string]any{{"phase-type": "BUILD", "phase-status": status, "phase-context": []string{f.fault}}},
		},
	})
	f.ended = append(f.ended, event.Event{ID: fmt.Sprint("b", f.images), Source: "aws.codebuild", DetailType: "CodeBuild Build State Change", Detail: detail})
	return awstest.Built{Fault: f.fault, Exported: map[string]string{build.ExportedDigest: digest}}
}

// hour lets an hour pass, and handles what comes of it.
func (f *foundry) hour() {
	f.Helper()
	f.passed.Add(int64(time.Hour))
	f.handle(event.Event{ID: "hour", Source: "aws.events", DetailType: "Scheduled Event", Detail: json.RawMessage(`{}`)})
}

func (f *foundry) handle(e event.Event) {
	f.Helper()
	if err := f.HandleAll(f.Context(), []event.Event{e})[0]; err != nil {
		f.Fatal(err)
	}
	f.ends()
}

// ends has builds end, and those that follow from that.
func (f *foundry) ends() {
	f.Helper()
	for len(f.ended) > 0 {
		e := f.ended[0]
		f.ended = f.ended[1:]
		f.finish()
		if err := f.Handle(f.Context(), e); err != nil {
			f.Fatal(err)
		}
	}
}

// finish looks at the newest build until it has ended, as time would have it.
func (f *foundry) finish() {
	p := build.NewProject(f.front.Config, "ci-build")
	p.Look = time.Millisecond
	_, err := p.Follow(f.Context(), fmt.Sprint("ci-build:", f.builds.Started()), func(string) {})
	if (err != nil) != (f.fault != "") {
		f.Fatal(err)
	}
}

// wantLaunched checks the version that tasks are launched with.
func (f *foundry) wantLaunched(version image.Version) *image.Catalog {
	f.Helper()
	c, err := catalog.New(f.config, catalog.Config{Table: "ledger", Architecture: "amd64"}).Catalog(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	launched, err := build.NewTasks(f.config, "ci", imageURI).Current(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	current, _ := c.Current()
	if current.Version != version || string(current.Digest) != launched["amd64"] {
		f.Fatalf("current is runner %q, %s; launched is %s: want %s; %s", current.Version, current.Digest, launched["amd64"], version, c.Next(f.clock()))
	}
	return c
}

func (f *foundry) publish(version string) {
	f.sim.PublishRunner(githubsim.RunnerRelease{Version: version, Archives: map[string][]byte{"linux-x64": []byte(version)}})
}

// TestRelease is the way of releases on AWS: what deploy built is adopted, a new release
// is built and promoted, a build that fails changes nothing, and a version that GitHub
// refuses is replaced at once.
func TestRelease(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	f.wantLaunched("2.336.0")
	if f.builds.Started() != 0 {
		t.Fatalf("%d builds of what is there", f.builds.Started())
	}
	f.publish("2.337.0")
	f.hour()
	f.wantLaunched("2.337.0")

	f.fault = "codebuild.sh: the archive is not what RUNNER_SHA256 says: not built"
	f.publish("2.338.0")
	f.hour()
	c := f.wantLaunched("2.337.0")
	if c.Build == nil || c.Build.Reason != "build FAILED in phase BUILD: "+f.fault {
		t.Errorf("build: %+v", c.Build)
	}
	if f.runway < 29 || f.runway > 30 {
		t.Errorf("runway of %v days, want 30 from the release of 2.338.0", f.runway)
	}
	f.fault = ""
	current, _ := c.Current()
	f.passed.Add(int64(time.Minute))
	detail, _ := json.Marshal(map[string]string{"pool": "small", "task": "t1", "runner": "r1", "image": string(current.Digest)})
	f.handle(event.Event{ID: "refused", Source: "mayfly", DetailType: contract.TypeVersionRefused, Detail: detail})
	f.wantLaunched("2.338.0")
	f.wantPublished(event.TypeImagePromoted, 3)
	f.wantPublished(event.TypeImageAlarm, 1)
	f.checkCalls()
}

func (f *foundry) wantPublished(kind string, least int) {
	f.Helper()
	n := 0
	for _, e := range f.published {
		if e.DetailType == kind {
			n++
		}
	}
	if n < least {
		f.Errorf("%d events %q were published, want %d", n, kind, least)
	}
}

// checkCalls holds what the function called against what its role allows.
func (f *foundry) checkCalls() {
	f.Helper()
	for call := range f.front.Calls() {
		if !slices.Contains(awstest.Calls()[contract.HandlerRelease], call) {
			f.Errorf("the function calls %s: its role allows %v", call, awstest.Calls()[contract.HandlerRelease])
		}
	}
}

// TestPush: a change of the source that was pushed is built, of its commit, and promoted;
// the same files once more are not.
func TestPush(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	before, _ := f.wantLaunched("2.336.0").Current()
	f.handle(push) // as mayfly deploy's own commit, whose image is there
	if f.builds.Started() != 0 {
		t.Fatalf("%d builds of what is there", f.builds.Started())
	}
	revision := f.commit("FROM debian:trixie")
	f.handle(push)
	current, _ := f.wantLaunched("2.336.0").Current()
	if current.Revision != revision || current.Digest == before.Digest || !slices.Equal(f.commits, []string{f.head().Commit}) {
		t.Errorf("current is of source %s, built of the commits %q: want %s of %s", current.Revision, f.commits, revision, f.head().Commit)
	}
	f.handle(push) // twice, and then a commit that changes nothing
	f.commit("FROM scratch")
	f.commit("FROM debian:trixie")
	f.handle(push)
	if f.builds.Started() != 1 {
		t.Errorf("%d builds of the same files, want one", f.builds.Started())
	}
	f.fault = "codebuild.sh: step 3 of the Dockerfile"
	broken := f.commit("FROM nothing")
	f.handle(push)
	if c := f.wantLaunched("2.336.0"); c.Build == nil || c.Build.Revision != broken || c.Build.Reason != "build FAILED in phase BUILD: "+f.fault {
		t.Errorf("build: %+v, want that of %s, failed", c.Build, broken)
	}
	f.fault = ""
	f.commit("FROM debian:trixie") // taken back
	f.handle(push)
	if c := f.wantLaunched("2.336.0"); c.Build != nil || f.builds.Started() != 2 {
		t.Errorf("build: %+v, %d started: want none of what was taken back", c.Build, f.builds.Started())
	}
	f.checkCalls()
}

// TestPushWhoseEventIsLost: the next hour sees it.
func TestPushWhoseEventIsLost(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	revision := f.commit("FROM debian:trixie")
	f.hour()
	if current, _ := f.wantLaunched("2.336.0").Current(); current.Revision != revision {
		t.Errorf("current is of source %s, want %s", current.Revision, revision)
	}
}

// TestPushDuringABuild: builds come one after another, each of its own commit. What waits
// is built when the other has ended, as it is then.
func TestPushDuringABuild(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	var want []string
	for _, dockerfile := range []string{"FROM one", "FROM two"} {
		f.commit(dockerfile)
		if err := f.Handle(t.Context(), push); err != nil { // and the end of the build is still to come
			t.Fatal(err)
		}
		want = append(want, f.head().Commit)
	}
	if !slices.Equal(f.commits, want[:1]) {
		t.Fatalf("built commits %q, want %q first", f.commits, want[:1])
	}
	revision := f.commit("FROM three") // whose event comes late
	want[1] = f.head().Commit
	for _, happens := range []func(){f.ends, func() { f.handle(push) }} {
		happens()
		if current, _ := f.wantLaunched("2.336.0").Current(); current.Revision != revision || !slices.Equal(f.commits, want) {
			t.Errorf("current is of source %s, built of the commits %q: want %s, of %q", current.Revision, f.commits, revision, want)
		}
	}
}

// TestSourceInS3: where the source is a zip, which mayfly deploy builds, the newest image
// says what it is, and CodeCommit is not asked.
func TestSourceInS3(t *testing.T) {
	f := newFoundry(t, func(c *handler.ReleaseConfig) { c.Source = "" })
	f.publish("2.336.0")
	f.hour()
	f.push("2.336.0", "abcdef012345") // by mayfly deploy
	f.hour()
	f.publish("2.337.0")
	f.hour()
	if current, _ := f.wantLaunched("2.337.0").Current(); current.Revision != "abcdef012345" || !slices.Equal(f.commits, []string{""}) {
		t.Errorf("current is of source %s, built of commits %q: want abcdef012345, and whatever the project is set to", current.Revision, f.commits)
	}
	for call := range f.front.Calls() {
		if strings.HasPrefix(call, "codecommit:") {
			t.Errorf("the function calls %s", call)
		}
	}
}

// sweep is the sweep function, as far as it asks GitHub for what the release function
// wants to know.
func (f *foundry) sweep() *handler.Sweep {
	f.Helper()
	if err := f.sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		f.Fatal(err)
	}
	forge, err := github.New(github.Config{URL: f.hub, Token: appToken, Backoff: time.Millisecond})
	if err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(f.Output(), nil))
	return &handler.Sweep{
		Pipeline: pipeline.New(pipeline.Config{Forge: forge, HookAt: "acme/web", Limits: func() ledger.Limits { return ledger.Limits{} }, Log: log}),
		Publish: func(_ context.Context, events ...event.Event) error {
			f.published = append(f.published, events...)
			return nil
		},
		Now: f.clock, Log: log,
	}
}

// hourAndRules lets an hour pass, and brings what was published since to where the rules
// of the bus bring it; it returns how many answers of GitHub's there were.
func (f *foundry) hourAndRules(s *handler.Sweep) (answers int) {
	f.Helper()
	seen := len(f.published)
	f.hour()
	for ; seen < len(f.published); seen++ {
		switch e := f.published[seen]; e.DetailType {
		case contract.TypeRunwayUncertain:
			if err := s.Handle(f.Context(), e); err != nil {
				f.Fatal(err)
			}
		case contract.TypeRunwayKnown:
			answers++
			f.handle(e)
		}
	}
	return answers
}

// TestRunwayIsGitHubs: GitHub's date of the version that runs takes the place of 30 days,
// comes to metrics and alarms at once, and goes when GitHub takes it back. Where it
// does not tell, what is known stands.
func TestRunwayIsGitHubs(t *testing.T) {
	f := newFoundry(t)
	s := f.sweep()
	f.publish("2.336.0")
	f.hour()
	f.wantLaunched("2.336.0")
	f.fault = "no space left on device" // so that the old version stays
	f.publish("2.337.0")
	f.hour()
	if f.runway < 29 || f.runway > 30 {
		t.Fatalf("runway of %v days before GitHub was asked, want 30", f.runway)
	}
	f.sim.DeprecateRunner("2.336.0", time.Time{}, f.clock().Add(5*24*time.Hour))
	told := func(status int) {
		t.Helper()
		id, err := f.sim.Faults().Add(fault.Rule{Path: "/repos/*/*/actions/runners/deprecations/*", Status: status})
		if err != nil {
			t.Fatal(err)
		}
		if n := f.hourAndRules(s); n != 0 {
			t.Errorf("%d answers of a GitHub that says %d, want none", n, status)
		}
		f.sim.Faults().Remove(id)
	}
	told(http.StatusForbidden)
	if f.runway < 29 {
		t.Errorf("runway of %v days where GitHub did not tell", f.runway)
	}
	if n := f.hourAndRules(s); n != 1 || f.runway < 4 || f.runway > 5 {
		t.Errorf("%d answers, runway of %v days: want one, and GitHub's 5", n, f.runway)
	}
	if !slices.ContainsFunc(f.published, func(e event.Event) bool {
		var a image.Alarm
		return e.DetailType == event.TypeImageAlarm && json.Unmarshal(e.Detail, &a) == nil && a.Kind == image.KindRunway
	}) {
		t.Error("no alarm tells of a runway of 5 days")
	}
	told(http.StatusNotFound)
	if c := f.wantLaunched("2.336.0"); len(c.Ends) != 1 || f.runway > 5 {
		t.Errorf("ends %v, runway of %v days: want the date that was known", c.Ends, f.runway)
	}
	f.sim.DeprecateRunner("2.336.0", time.Time{}, time.Time{})
	if n := f.hourAndRules(s); n != 1 || f.runway < 29 || len(f.wantLaunched("2.336.0").Ends) != 0 {
		t.Errorf("%d answers, runway of %v days: want one, and 30 again", n, f.runway)
	}
	f.handle(event.Event{DetailType: contract.TypeRunwayKnown, Detail: json.RawMessage(`{"version": "2.1.0", "at": "2026-01-31T12:00:00Z"}`)})
	if ends := f.wantLaunched("2.336.0").Ends; len(ends) != 0 {
		t.Errorf("ends %v, want none of a version that no image has", ends)
	}
	odd := event.Event{DetailType: contract.TypeRunwayKnown, Detail: json.RawMessage(`{"at": "soon"}`)}
	if err := f.Handle(t.Context(), odd); !errors.Is(err, pipeline.ErrNotProcessable) {
		t.Errorf("an answer that cannot be read: %v", err)
	}
	odd.DetailType = contract.TypeRunwayUncertain
	if err := s.Handle(t.Context(), odd); !errors.Is(err, pipeline.ErrNotProcessable) {
		t.Errorf("a question that cannot be read: %v", err)
	}
	f.checkCalls()
}

// launched has tasks of the newest revision started for jobs, which all claim, listen and
// end well but those that fail, and has the release function handle what is told of them.
func (f *foundry) launched(books *handler.Ledger, first int64, how string) {
	f.Helper()
	digests, err := build.NewTasks(f.config, "ci", imageURI).Current(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	s := &stage{T: f.T, now: f.clock()} // for its events
	for i, one := range how {
		id, from := first+int64(i), fmt.Sprintf(`,"containers":[{"name":"runner","image":"%s@%s","exitCode":1}]`, imageURI, digests["amd64"])
		s.must(books.Handle(f.Context(), []event.Event{s.aboutJob(id, "queued")})[0])
		list, err := books.Pipeline.Ledger.Runners(f.Context(), ledger.RunnerQuery{Job: ledger.NewJobKey("acme/web", id, 1)})
		s.must(err)
		name := list[0].Name
		about := func(status, rest string) {
			s.must(books.Handle(f.Context(), []event.Event{s.aboutTask(fmt.Sprint("t", id), status, "ci-small", env(name), from+rest)})[0])
		}
		about("RUNNING", "")
		inputs := []ledger.Input{ledger.Claim{Runner: name, Container: fmt.Sprint("t", id)}, ledger.Idle{Runner: name}}
		if one == 'x' {
			inputs = inputs[:1]
		}
		for _, in := range inputs {
			_, err := books.Pipeline.Ledger.Apply(f.Context(), in)
			s.must(err)
		}
		about("STOPPED", `,"stopCode":"EssentialContainerExited"`)
		s.must(books.Handle(f.Context(), []event.Event{s.aboutJob(id, "completed")})[0])
		for len(f.told) > 0 {
			e := f.told[0]
			f.told = f.told[1:]
			f.handle(e)
		}
	}
}

// TestStartFailures: after a promotion, the tasks of the new revision fail to start, more
// often than before: the tasks after them start from the image before, by a revision of its own.
func TestStartFailures(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after string // how starts went
		back          bool
	}{
		{name: "too many fail", before: "....", after: "..xxx", back: true},
		{name: "few fail", before: "....", after: ".........xxx"},
		{name: "as often as before", before: "xxx.", after: "xxxx"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFoundry(t)
			books := f.books()
			f.publish("2.336.0")
			f.hour()
			first := f.wantLaunched("2.336.0").Images[0].Digest
			f.launched(books, 100, test.before)
			f.publish("2.337.0")
			f.hour()
			fresh := f.wantLaunched("2.337.0").Images[0].Digest
			f.launched(books, 200, test.after)
			if !test.back {
				f.wantLaunched("2.337.0")
				return
			}
			c := f.wantLaunched("2.336.0")
			failed, _ := c.Find(fresh)
			if current, _ := c.Current(); current.Digest != first || failed.State != image.StateFailed || !strings.Contains(failed.Reason, "runners did not start") {
				t.Errorf("current %s, the new one: %+v: want %s, and the new one failed", current.Digest, failed, first)
			}
			f.wantPublished(event.TypeImageAlarm, 1)
			f.hour()
			f.launched(books, 300, "xxx") // of the image that was rolled back to
			f.wantLaunched("2.336.0")
			f.checkCalls()
		})
	}
}

// TestOldImages: of the good images the last three are kept in the repository.
func TestOldImages(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	for _, version := range []string{"2.337.0", "2.338.0", "2.339.0"} {
		f.publish(version)
		f.hour()
	}
	f.hour()
	f.wantLaunched("2.339.0")
	left, err := build.NewImages(f.config, "ci-images").List(t.Context())
	if err != nil || len(left) != image.DefaultKeep {
		t.Errorf("%+v, %v: want %d images", left, err, image.DefaultKeep)
	}
}

// TestReleaseOff: nothing is built where that is turned off.
func TestReleaseOff(t *testing.T) {
	f := newFoundry(t, func(c *handler.ReleaseConfig) { c.Off = true })
	f.publish("2.337.0")
	f.hour()
	if f.builds.Started() != 0 {
		t.Errorf("%d builds, want none", f.builds.Started())
	}
}

func TestReleaseOfOtherThings(t *testing.T) {
	f := newFoundry(t)
	f.publish("2.336.0")
	f.hour()
	for _, e := range []event.Event{
		{DetailType: "CodeBuild Build State Change", Detail: json.RawMessage(`{"project-name": "another", "build-status": "FAILED"}`)},
		{DetailType: contract.TypeVersionRefused, Detail: json.RawMessage(`{"pool": "own", "task": "t1", "image": "sha256:another"}`)},
	} {
		f.handle(e)
	}
	f.wantLaunched("2.336.0")
	if err := f.Handle(t.Context(), event.Event{DetailType: "odd", Detail: json.RawMessage(`{}`)}); err == nil {
		t.Error("no error for an event not processable")
	}
}
