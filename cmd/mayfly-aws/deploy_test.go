package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestDeployTwice brings a stack up and once more, and reads it.
func TestDeployTwice(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	t.Log(errs)
	if files, commits := w.git.Files("ci-image"); commits != 1 || !slices.Contains(files, "Dockerfile") {
		t.Errorf("%d commits of %q: want one, of the image's source", commits, files)
	}
	if w.builds.Started() != 1 || w.pings.Load() == 0 {
		t.Errorf("%d builds, %d pings: want one build, and a ping", w.builds.Started(), w.pings.Load())
	}
	if got := w.cloud.Secret(t, "ci-webhook"); got != w.secret {
		t.Errorf("webhook secret %q, want the configuration's", got)
	}
	before := w.front.Calls()
	out, errs, code = w.deploy(t)
	w.must(t, out, errs, code)
	after := w.front.Calls()
	for _, call := range []string{"s3:CreateBucket", "s3:PutObject", "cloudformation:ExecuteChangeSet", "secretsmanager:PutSecretValue", "codecommit:CreateCommit", "codebuild:StartBuild"} {
		if after[call] != before[call] || before[call] == 0 {
			t.Errorf("%s: %d calls by the first deploy, %d by the second: want some, and none", call, before[call], after[call]-before[call])
		}
	}
	out, errs, code = w.deploy(t, "--plan", "--json")
	if w.must(t, out, errs, code); strings.TrimSpace(out) != "[]" {
		t.Errorf("plan: %s, want no changes", out)
	}
	w.checkTypes(t)
	w.checkPermissions(t)
	status := asJSON[inspect.Status](t, w, "status", "--json")
	if !status.Running || !strings.Contains(status.Words, "its rules are on") || len(status.Pools) != 2 {
		t.Errorf("status %+v: want it running, with two pools", status)
	}
	w.provesDelivery(t)
	w.isExamined(t)
}

// isExamined has the doctor look at the stack, of which moto has no ECS agent and no alarm.
func (w *cloudWorld) isExamined(t *testing.T) {
	t.Helper()
	out, errs, code := w.run(t, nil, "doctor")
	for _, want := range []string{"ok ", "stack ", "ci: UPDATE_COMPLETE", "filled", "built for amd64", "no dead letters", "GitHub's ping was answered", "ACCOUNT"} {
		if !strings.Contains(out, want) || strings.Contains(out, awstest.Account) {
			t.Errorf("doctor: exit code %d: want %q, and no account's number, in\n%s%s", code, want, out, errs)
		}
	}
}

// startRunner has the ledger want a runner for a job, and registers it at GitHub, as a
// task would.
func (w *cloudWorld) startRunner(t *testing.T) ledger.Runner {
	t.Helper()
	job := event.WorkflowJob{Action: "queued", ID: 7, RunID: 3, Attempt: 1, Name: "build", Labels: []string{"self-hosted", "small"}, Repository: worldRepository, Created: time.Now()}
	pools := pool.Set{pool.Pool{Name: "small", Labels: job.Labels}.WithDefaults()}
	store := dynamo.Open(w.cloud.Config, dynamo.Config{
		Table: "ci-ledger", Limits: ledger.Limits{Pools: pools, Level: ledger.LevelRepository},
		Emit: func(context.Context, []ledger.Effect) error { return nil },
	})
	if _, err := store.Apply(t.Context(), ledger.JobSeen{Job: job}); err != nil {
		t.Fatal(err)
	}
	runners, err := store.Runners(t.Context(), ledger.RunnerQuery{})
	if err != nil || len(runners) != 1 {
		t.Fatalf("runners %+v, %v: want one", runners, err)
	}
	if _, err := w.forge(t).Register(t.Context(), scopeOf(t), github.JITRequest{Name: string(runners[0].Name), Labels: job.Labels}); err != nil {
		t.Fatal(err)
	}
	return runners[0]
}

func (w *cloudWorld) forge(t *testing.T) *github.Client {
	t.Helper()
	c, err := github.New(github.Config{URL: w.simURL, Token: secret.New(w.token)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func scopeOf(t *testing.T) github.Scope {
	t.Helper()
	at, err := github.ParseScope(worldRepository)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// discovered is a schema as EventBridge's discoverer has it.
const discovered = `{"openapi":"3.0.0","info":{"version":"1.0.0","title":"Workflow_job"},"paths":{},"components":{"schemas":{
 "AWSEvent":{"type":"object","x-amazon-events-detail-type":"workflow_job","x-amazon-events-source":"github.com","properties":{"detail":{"$ref":"#/components/schemas/Workflow_job"}}},
 "Workflow_job":{"type":"object","required":["action"],"properties":{"action":{"type":"string"}}}}}}`

// TestDestroy takes a stack down that has been in use, and once more.
func TestDestroy(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	runner := w.startRunner(t)
	w.schemas.Discover("github.com@Workflow_job", discovered)
	w.schemas.Discover("aws.s3@ObjectCreated", "{}")
	w.cloud.MakeLogGroup(t, "/aws/lambda/ci-webhook") // as Lambda would, after its log group was deleted
	w.cloud.MakeLogGroup(t, "ciphers")                // somebody else's
	w.cloud.MakeStack(t, "ci-two")                    // another's, whose name goes on
	w.cloud.MakeLogGroup(t, "ci-two-WebhookLogs-1")
	w.cloud.RegisterTask(t, "ci-two-small")
	w.cloud.PutLog(t, "/aws/events/ci", `{"version":"0","id":"e1","source":"github.com","detail-type":"ping","time":"2026-11-27T12:00:00Z","resources":["acme/web"],"detail":{}}`)
	if events := asJSON[[]event.Event](t, w, "events", "--json"); len(events) != 1 || events[0].ID != "e1" {
		t.Errorf("events %+v: want the one in the log", events)
	}
	if schemas := asJSON[[]inspect.Schema](t, w, "schema", "list", "--json"); len(schemas) != 1 || schemas[0].Name != "github.com@Workflow_job" || schemas[0].Fields != 1 {
		t.Errorf("schemas %+v: want the one that was discovered", schemas)
	}
	if letters := asJSON[[]any](t, w, "dlq", "list", "--json"); len(letters) != 0 {
		t.Errorf("dead letters %+v: want none", letters)
	}
	if jobs := asJSON[[]inspect.Job](t, w, "jobs", "--json"); len(jobs) != 1 || jobs[0].State != ledger.JobQueued {
		t.Errorf("jobs %+v: want the queued one", jobs)
	}
	if runners := asJSON[[]ledger.Runner](t, w, "runners", "--json"); len(runners) != 1 || runners[0].Name != runner.Name {
		t.Errorf("runners %+v: want %s", runners, runner.Name)
	}
	out, errs, code = w.run(t, nil, "replay", "--from", "1h", "--name", "again")
	w.must(t, out, errs, code)
	if _, errs, code := w.run(t, nil, "destroy"); code != 2 || !strings.Contains(errs, "nothing was removed") {
		t.Errorf("without its name: exit code %d, %s", code, errs)
	}
	for round := range 2 {
		out, errs, code := w.run(t, nil, "destroy", "--yes", "--look", "5ms")
		if w.must(t, out, errs, code); !strings.Contains(out, "nothing else is left of stack ci") || strings.Contains(errs, "cancelling replay again") != (round == 0) {
			t.Errorf("destroyed: %s%s", out, errs)
		}
	}
	if !w.cloud.HasTask(t, "ci-two-small") {
		t.Error("another stack's task definition is gone")
	}
	if left := w.sim.Runners(); len(left) != 0 {
		t.Errorf("GitHub has runners %+v", left)
	}
	if left := w.schemas.Names(); !slices.Equal(left, []string{"aws.s3@ObjectCreated"}) {
		t.Errorf("schemas %q: want somebody else's", left)
	}
	if left := w.cloud.LogGroups(t); !slices.Equal(left, []string{"ci-two-WebhookLogs-1", "ciphers"}) {
		t.Errorf("log groups %q: want somebody else's", left)
	}
}

// checkTypes holds what is there against the template: each resource, but those of the
// types that moto's CloudFormation passes over, which are named, and no others.
func (w *cloudWorld) checkTypes(t *testing.T) {
	t.Helper()
	out, errs, code := w.deploy(t, "--print-template")
	types, err := stack.Resources([]byte(w.must(t, out, errs, code)))
	if err != nil {
		t.Fatal(err)
	}
	there := w.cloud.StackResources(t, "ci")
	passed := map[string]bool{}
	for id, kind := range types {
		if _, ok := there[id]; !ok && !conditional(id) {
			passed[kind] = true
		}
	}
	for kind := range passed {
		if !slices.Contains(awstest.Absent(), kind) {
			t.Errorf("moto has passed over a %s in silence", kind)
		}
	}
	t.Logf("not covered by moto: %s", strings.Join(awstest.Absent(), ", "))
}

// conditional reports whether a resource is there with a network of the stack's own, or an
// address for alarms, only.
func conditional(id string) bool {
	for _, part := range []string{"Vpc", "Gateway", "Route", "Subnet", "AlarmTopic"} {
		if strings.Contains(id, part) {
			return true
		}
	}
	return false
}

// checkPermissions holds the calls against what the preflight asks IAM for, and that
// against the policy that docs give who deploys.
func (w *cloudWorld) checkPermissions(t *testing.T) {
	t.Helper()
	for call := range w.front.Calls() {
		service, operation, _ := strings.Cut(call, ":")
		action := map[string]string{"monitoring": "cloudwatch", "email": "ses"}[service]
		action = cmp.Or(action, service) + ":" + operation
		switch {
		case service == "s3", service == "lambda", service == "schemas", service == "monitoring": // whose requests have no operation's name
		case strings.HasPrefix(action, "iam:"), slices.Contains(deploy.Permissions(), action):
		default:
			t.Errorf("%s was called, and the preflight does not ask for it", action)
		}
	}
	text, err := os.ReadFile("../../docs/aws-deploy-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range deploy.Permissions() {
		service, _, _ := strings.Cut(action, ":")
		if !strings.Contains(string(text), `"`+action+`"`) && !strings.Contains(string(text), `"`+service+`:*"`) && !(strings.HasPrefix(action, "ec2:Describe")) {
			t.Errorf("%s is asked for by the preflight, and the policy of the docs does not allow it", action)
		}
	}
}

// TestPermissionsIgnored: whoever knows better than IAM's simulation goes on.
func TestPermissionsIgnored(t *testing.T) {
	w := newCloudWorld(t)
	w.denied.Store("lambda:CreateFunction")
	out, errs, code := w.deploy(t, "--plan", "--ignore-permissions")
	if w.must(t, out, errs, code); !strings.Contains(errs, "going on although") || !strings.Contains(errs, "lambda:CreateFunction") {
		t.Errorf("it does not say what is missing:\n%s", errs)
	}
}

// TestPlanOfNothing shows what a first deploy would make, and makes none of it.
func TestPlanOfNothing(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t, "--plan")
	if w.must(t, out, errs, code); !strings.Contains(out, "Add     Bus ") {
		t.Errorf("plan:\n%s%s", out, errs)
	}
	for call := range w.front.Calls() {
		if _, operation, _ := strings.Cut(call, ":"); strings.HasPrefix(operation, "Create") || strings.HasPrefix(operation, "Put") {
			t.Errorf("%s was called for a plan", call)
		}
	}
}

// TestDestroyKeepsData keeps bus, archive and logs, says so, and removes them later.
func TestDestroyKeepsData(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	out, errs, code = w.run(t, nil, "destroy", "--yes", "--keep-data", "--look", "5ms")
	w.must(t, out, errs, code)
	for _, want := range []string{"kept: event bus ci\n", "kept: archive ci\n", "kept: log group /aws/events/ci\n", "nothing else is left"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if _, errs, code := w.deploy(t); code != 5 || !strings.Contains(errs, "is not there, and yet: event bus ci") {
		t.Errorf("deployed over what was kept: exit code %d, %s", code, errs)
	}
	out, errs, code = w.run(t, nil, "destroy", "--yes", "--look", "5ms")
	if w.must(t, out, errs, code); len(w.cloud.LogGroups(t)) != 0 {
		t.Errorf("left: %s%q", out, w.cloud.LogGroups(t))
	}
}

// TestImagesOfStack builds, lists, promotes and rolls back at AWS.
func TestImagesOfStack(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	w.sim.PublishRunner(githubsim.RunnerRelease{Version: "2.337.0", SHA256: map[string]string{"linux-x64": strings.Repeat("b", 64)}})
	other, err := build.NewProject(w.front.Config, "ci-build-amd64").Start(t.Context(), strings.Repeat("c", 40), map[string]string{"RUNNER_VERSION": "another"})
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code = w.run(t, nil, "image", "build", "--look", "5ms")
	if w.must(t, out, errs, code); !strings.Contains(errs, "waiting for build "+other.ID) || !strings.Contains(errs, "with runner 2.337.0") {
		t.Errorf("built: %s%s", out, errs)
	}
	list := asJSON[[]engine.Image](t, w, "image", "list", "--json")
	if len(list) != 2 || !slices.ContainsFunc(list, func(i engine.Image) bool { return i.Version == "2.337.0" }) {
		t.Fatalf("images %+v: want two", list)
	}
	store := catalog.New(w.cloud.Config, catalog.Config{Table: "ci-ledger", Architecture: "amd64"})
	for _, i := range list { // as the release function hears of them
		digest := image.Digest(i.Digest)
		for _, in := range []image.Input{image.Built{Digest: digest, Version: image.Version(i.Version), Revision: i.Revision}, image.Tick{}, image.CanaryPassed{Digest: digest}} {
			if _, err := store.Apply(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
	}
	order := func(args ...string) string {
		t.Helper()
		return asJSON[map[string]string](t, w, append(append([]string{"image"}, args...), "--json")...)["current"]
	}
	for _, i := range slices.Backward(list) { // the newest is current by itself
		if got := order("promote", i.Digest); got != i.Digest || w.launched(t) != i.Digest {
			t.Errorf("promoted %s: current %s, launched %s", i.Digest, got, w.launched(t))
		}
	}
	if got := order("rollback"); got != list[1].Digest || w.launched(t) != list[1].Digest {
		t.Errorf("rolled back: current %s, launched %s: want %s", got, w.launched(t), list[1].Digest)
	}
	if _, errs, code := w.run(t, nil, "image", "promote", "sha256:0000"); code != 1 || !strings.Contains(errs, "hint:") {
		t.Errorf("promoted what is not there: exit code %d, %s", code, errs)
	}
}

// TestImageOfStackFromFile builds from an archive that is here: the build finds it in the
// bucket, by its checksum.
func TestImageOfStackFromFile(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	file := tooltest.Standin(t, tooltest.StandinVersion)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code = w.run(t, nil, "image", "build", "--agent-archive", file, "--look", "5ms")
	w.must(t, out, errs, code)
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	object, err := s3.NewFromConfig(w.cloud.Config).GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("ci-artifacts-" + awstest.Account + "-" + awstest.Region), Key: aws.String("archives/runner-" + sum + ".tar.gz"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	if there, err := io.ReadAll(object.Body); err != nil || !bytes.Equal(there, content) {
		t.Errorf("%d bytes are in the bucket, %v: want the archive's %d", len(there), err, len(content))
	}
	if env := w.builds.Last(); env["RUNNER_VERSION"] != tooltest.StandinVersion || env["RUNNER_SHA256"] != sum {
		t.Errorf("built with %v, want runner %s, %s", env, tooltest.StandinVersion, sum)
	}
	other := filepath.Join(t.TempDir(), archive.Actions.File(tooltest.StandinVersion, "arm64"))
	if err := os.WriteFile(other, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"and no pool has such hosts":   {"image", "build", "--agent-archive", other},
		"does not say which processor": {"image", "build", "--agent-archive", w.config()},
		"wrong checksum":               {"image", "build", "--agent-archive", file, "--sha256", strings.Repeat("0", 64)},
		"image.base and image.docker":  {"image", "build", "--docker"},
	} {
		if out, errs, code := w.run(t, nil, args...); code == 0 || !strings.Contains(errs, says) || !strings.Contains(errs, "hint:") {
			t.Errorf("%v: exit code %d, want %q\n%s%s", args, code, says, out, errs)
		}
	}
}

// TestPushesStay: what somebody has pushed to the image's source is built by mayfly deploy,
// and replaced only by a folder that is named.
func TestPushesStay(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	pushed := w.git.Push("ci-image", "Dockerfile", "FROM scratch\n")
	out, errs, code = w.deploy(t)
	if w.must(t, out, errs, code); !strings.Contains(errs, "ci-image has a commit of Mary Major ("+pushed[:12]+")") {
		t.Errorf("deploy says: %s: want whose commit stays", errs)
	}
	list := asJSON[[]engine.Image](t, w, "image", "list", "--json")
	if _, commits := w.git.Files("ci-image"); commits != 2 || len(list) != 2 || list[0].Revision == list[1].Revision {
		t.Errorf("%d commits, images %+v: want what was pushed, built", commits, list)
	}
	dir := t.TempDir()
	if err := imagesource.Embedded().Eject(dir, false); err != nil {
		t.Fatal(err)
	}
	out, errs, code = w.run(t, nil, "image", "build", "--look", "5ms", "--source", dir)
	w.must(t, out, errs, code)
	if _, commits := w.git.Files("ci-image"); commits != 3 {
		t.Errorf("%d commits: want one more, of the folder that was named", commits)
	}
}

// launched is the digest that tasks are started from.
func (w *cloudWorld) launched(t *testing.T) string {
	t.Helper()
	uri := awstest.Account + ".dkr.ecr." + awstest.Region + ".amazonaws.com/ci-runner"
	all, err := build.NewTasks(w.cloud.Config, "ci", uri).Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all["amd64"]
}
