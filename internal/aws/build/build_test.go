package build_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/image/git"
)

func files(pairs ...string) (all []build.File) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, build.File{Name: pairs[i], Body: []byte(pairs[i+1]), Executable: strings.HasSuffix(pairs[i], ".sh")})
	}
	return all
}

// CodeCommit's commits are not in moto: awstest.CodeCommit answers here.
func TestCommitOnlyWhatChanged(t *testing.T) {
	cloud := awstest.Start(t)
	service := &awstest.CodeCommit{}
	service.SetRepository("ci-image", true)
	front := cloud.Front(t, map[string]http.Handler{"codecommit": service.Handler()})
	r := build.NewRepository(front.Config, "ci-image")
	if head, err := r.Head(t.Context()); err != nil || head != (build.Head{}) {
		t.Errorf("head of an empty repository %+v, %v: want none", head, err)
	}
	for i, step := range []struct {
		files   []build.File
		changed bool
		want    []string
	}{
		{files("Dockerfile", "FROM a", "hooks/pre/x.sh", "true"), true, []string{"Dockerfile", "hooks/pre/x.sh"}},
		{files("Dockerfile", "FROM a", "hooks/pre/x.sh", "true"), false, []string{"Dockerfile", "hooks/pre/x.sh"}},
		{files("Dockerfile", "FROM b", "hooks/pre/x.sh", "true"), true, []string{"Dockerfile", "hooks/pre/x.sh"}},
		{files("Dockerfile", "FROM b", "README.md", "hello"), true, []string{"Dockerfile", "README.md"}},
		{[]build.File{{Name: "Dockerfile", Body: []byte("FROM b"), Executable: true}, {Name: "README.md", Body: []byte("hello")}}, true, []string{"Dockerfile", "README.md"}},
	} {
		after, changed, err := r.Commit(t.Context(), step.files, "step", false)
		if err != nil || changed != step.changed {
			t.Fatalf("commit %d: changed %v, %v: want %v", i+1, changed, err, step.changed)
		}
		tree := map[string]git.File{}
		for _, f := range step.files {
			tree[f.Name] = git.File{Blob: git.Blob(f.Body), Executable: f.Executable}
		}
		if head, err := r.Head(t.Context()); err != nil || head != after || head.Tree != git.Tree(tree) {
			t.Errorf("commit %d: head %+v, %v: want %+v, of these files", i+1, head, err, after)
		}
		if got, _ := service.Files("ci-image"); !slices.Equal(got, step.want) {
			t.Errorf("commit %d: files %q, want %q", i+1, got, step.want)
		}
	}
	if _, n := service.Files("ci-image"); n != 4 {
		t.Errorf("%d commits, want 4", n)
	}
	if _, _, err := build.NewRepository(front.Config, "none").Commit(t.Context(), files("a", "b"), "x", false); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no such repository: %v", err)
	}
}

// TestCommitLeavesOthersAlone: what somebody has pushed is replaced only when that is
// wanted; and then the branch is ours again.
func TestCommitLeavesOthersAlone(t *testing.T) {
	cloud := awstest.Start(t)
	service := &awstest.CodeCommit{}
	service.SetRepository("ci-image", true)
	front := cloud.Front(t, map[string]http.Handler{"codecommit": service.Handler()})
	r := build.NewRepository(front.Config, "ci-image")
	ours, _, err := r.Commit(t.Context(), files("Dockerfile", "FROM a"), "ours", false)
	if err != nil {
		t.Fatal(err)
	}
	theirs := service.Push("ci-image", "Dockerfile", "FROM b")
	head, changed, err := r.Commit(t.Context(), files("Dockerfile", "FROM c"), "ours", false)
	if err != nil || changed || head.Commit != theirs || head.By.Name != "Mary Major" {
		t.Errorf("over another's: %+v, changed %v, %v: want %s as it is", head, changed, err, theirs)
	}
	if head, changed, err = r.Commit(t.Context(), files("Dockerfile", "FROM c"), "ours", true); err != nil || !changed || head.By != ours.By {
		t.Errorf("over another's, as wanted: %+v, changed %v, %v", head, changed, err)
	}
	if _, changed, err = r.Commit(t.Context(), files("Dockerfile", "FROM d"), "ours", false); err != nil || !changed {
		t.Errorf("over our own: changed %v, %v", changed, err)
	}
}

// written makes a log with lines in moto.
func written(t *testing.T, c aws.Config, lines ...string) {
	t.Helper()
	logs := cloudwatchlogs.NewFromConfig(c)
	group, stream := aws.String("builds"), aws.String("1")
	_, err1 := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	_, err2 := logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	var events []logtypes.InputLogEvent
	for _, l := range lines {
		events = append(events, logtypes.InputLogEvent{Message: aws.String(l), Timestamp: aws.Int64(time.Now().UnixMilli())})
	}
	_, err3 := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// CodeBuild's builds end in moto as they start: awstest.CodeBuild answers here; the logs
// are moto's.
func TestBuildIsStartedOnceAndFollowed(t *testing.T) {
	cloud := awstest.Start(t)
	fault, built := "", ""
	service := &awstest.CodeBuild{Run: func(_, commit string, env map[string]string) awstest.Built {
		built = commit
		return awstest.Built{Fault: fault, Exported: map[string]string{"IMAGE_DIGEST": "sha256:" + env["RUNNER_VERSION"]}, Group: "builds", Stream: "1"}
	}}
	front := cloud.Front(t, map[string]http.Handler{"codebuild": service.Handler()})
	written(t, front.Config, "step one\n", "step two\n")
	p := build.NewProject(front.Config, "ci-build-amd64")
	p.Look = time.Millisecond
	env := map[string]string{"RUNNER_VERSION": "2.336.0"}
	first, err := p.Start(t.Context(), "c0ffee", env)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Start(t.Context(), "c0ffee", env)
	if err != nil || again.ID != first.ID || service.Started() != 1 || built != "c0ffee" {
		t.Errorf("started again: %+v, %v, and %d builds, of commit %q: want the one that runs", again, err, service.Started(), built)
	}
	var lines []string
	done, err := p.Follow(t.Context(), first.ID, func(l string) { lines = append(lines, l) })
	if err != nil || !done.Succeeded() || done.Exported["IMAGE_DIGEST"] != "sha256:2.336.0" {
		t.Errorf("ended: %+v, %v", done, err)
	}
	if diff := cmp.Diff([]string{"step one", "step two"}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	fault = "docker build: exit status 1"
	bad, err := p.Start(t.Context(), "", env)
	if err != nil || bad.ID == first.ID || built != "" {
		t.Fatalf("started after the end: %+v, %v, of commit %q: want another, of what the project is set to", bad, err, built)
	}
	var busy *build.Busy
	if _, err := p.Start(t.Context(), "", map[string]string{"RUNNER_VERSION": "2.337.0"}); !errors.As(err, &busy) || busy.Build.ID != bad.ID || !strings.Contains(err.Error(), bad.ID) {
		t.Errorf("another, while one runs: %v: want that %s is in the way", err, bad.ID)
	}
	if _, err := p.Follow(t.Context(), bad.ID, func(string) {}); err == nil || !strings.Contains(err.Error(), "FAILED: BUILD: docker build: exit status 1") {
		t.Errorf("a build that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Follow(ctx, bad.ID, func(string) {}); err == nil {
		t.Error("no error when following was cancelled")
	}
}

// push puts an image into moto's ECR and returns its digest.
func push(t *testing.T, c aws.Config, repository, tag string) string {
	t.Helper()
	manifest := fmt.Sprintf(`{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"mediaType": "x", "size": 1, "digest": "sha256:%064x"}, "layers": []}`, len(tag)*1000+int(tag[len(tag)-1])+int(tag[2]))
	out, err := ecr.NewFromConfig(c).PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: &repository, ImageManifest: &manifest, ImageTag: &tag})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Image.ImageId.ImageDigest
}

func TestImagesAreListedAndRemoved(t *testing.T) {
	cloud := awstest.Start(t)
	if _, err := ecr.NewFromConfig(cloud.Config).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("ci-runner")}); err != nil {
		t.Fatal(err)
	}
	one := push(t, cloud.Config, "ci-runner", "2.335.0-0123456789ab-amd64-7")
	push(t, cloud.Config, "ci-runner", "latest") // somebody else's
	images := build.NewImages(cloud.Config, "ci-runner")
	list, err := images.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Digest != one || list[0].Version != "2.335.0" || list[0].Revision != "0123456789ab" || list[0].Architecture != "amd64" {
		t.Errorf("images %+v, %v: want the one that a build has pushed", list, err)
	}
	for range 2 {
		if err := images.Remove(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := images.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("images %+v, %v: want none", list, err)
	}
}

func TestPromotionRegistersRevisions(t *testing.T) {
	cloud := awstest.Start(t)
	api := ecs.NewFromConfig(cloud.Config)
	const repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ci-runner"
	register := func(family, image string, arch types.CPUArchitecture) {
		t.Helper()
		if _, err := api.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
			Family: &family, RuntimePlatform: &types.RuntimePlatform{CpuArchitecture: arch},
			ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("runner"), Image: &image, Memory: aws.Int32(512), Command: []string{"--url", "x"}}},
			Tags:                 []types.Tag{{Key: aws.String("mayfly"), Value: aws.String("ci")}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	register("ci-small", repository+"@sha256:old", types.CPUArchitectureX8664)
	register("ci-arm", repository+"@sha256:oldarm", types.CPUArchitectureArm64)
	register("ci-own", "ghcr.io/acme/runner:1", types.CPUArchitectureX8664)
	tasks := build.NewTasks(cloud.Config, "ci", repository)
	for _, want := range [][]string{{"ci-small"}, nil} {
		changed, err := tasks.Promote(t.Context(), "amd64", "sha256:new")
		if err != nil || !slices.Equal(changed, want) {
			t.Errorf("promoted in %q, %v: want %q", changed, err, want)
		}
	}
	current, err := tasks.Current(t.Context())
	if diff := cmp.Diff(map[string]string{"amd64": "sha256:new", "arm64": "sha256:oldarm"}, current); err != nil || diff != "" {
		t.Errorf("current (-want +got), %v:\n%s", err, diff)
	}
	out, err := api.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("ci-small"), Include: []types.TaskDefinitionField{"TAGS"}})
	if err != nil || out.TaskDefinition.Revision != 2 || out.TaskDefinition.ContainerDefinitions[0].Command[0] != "--url" || len(out.Tags) != 1 {
		t.Errorf("promoted: %+v, %v", out, err)
	}
}
