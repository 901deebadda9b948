package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/program"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

func TestMain(m *testing.M) { os.Exit(tooltest.Main(m, "mayfly", "mayfly-aws", "mayfly-minirunner")) }

// worldRepository is whose webhook a world installs.
const worldRepository = "acme/web"

// A cloudWorld is AWS and GitHub for one test. AWS is moto, with stand-ins of ours
// before it for what moto has none of: CodeCommit, CodeBuild, the schema registry, replays that run, the
// simulation of policies, and what awstest.CloudFormation tells. GitHub is githubsim.
type cloudWorld struct {
	dir      string // of the configuration
	token    string // of whoever mayfly is at GitHub
	secret   string // of the webhook
	sim      *githubsim.Sim
	simURL   string
	cloud    *awstest.Cloud
	front    *awstest.Front
	stack    *awstest.CloudFormation
	git      *awstest.CodeCommit
	builds   *awstest.CodeBuild
	schemas  *awstest.Schemas
	replays  *awstest.Replays
	network  awstest.Network
	programs string
	denied   atomic.Value // a permission that IAM says is missing; ""
	pings    atomic.Int64 // signed pings that came to the webhook's address
}

func newCloudWorld(t *testing.T) *cloudWorld {
	t.Helper()
	if testing.Short() {
		t.Skip("starts moto_server")
	}
	w := &cloudWorld{
		dir: t.TempDir(), token: rand.Text(), secret: rand.Text(),
		cloud: awstest.Start(t), git: &awstest.CodeCommit{}, builds: &awstest.CodeBuild{}, schemas: &awstest.Schemas{}, programs: t.TempDir(),
	}
	w.denied.Store("")
	w.sim, w.simURL = tooltest.ServeSim(t, githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: filepath.Join(w.dir, "repositories"), Tokens: []secret.Secret{secret.New(w.token)},
	}, worldRepository)
	w.sim.PublishRunner(githubsim.RunnerRelease{Version: "2.336.0", SHA256: map[string]string{"linux-x64": strings.Repeat("a", 64)}})
	w.network = w.cloud.Network(t)
	hook := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(hook.Close)
	formation := w.cloud.CloudFormation()
	w.replays = w.cloud.Replays()
	w.stack = formation
	formation.Made, formation.Gone = func(string) { w.setAbsent(t, true) }, func(string) { w.setAbsent(t, false) }
	formation.Outputs = map[string]string{
		"WebhookUrl": hook.URL + "/", "SourceName": "ci-image", "BuildNameAmd64": "ci-build-amd64",
		"WebhookSecretArn": "ci-webhook", "AppSecretArn": "ci-app",
	}
	w.builds.Run = w.runBuild(t)
	w.front = w.cloud.Front(t, map[string]http.Handler{
		"cloudformation": formation, "codecommit": w.git.Handler(), "codebuild": w.builds.Handler(), "schemas": w.schemas.Handler(),
		"iam": http.HandlerFunc(w.iam), "monitoring": awstest.Alarms(), "events": w.replays,
	})
	for _, arch := range []string{"amd64", "arm64"} {
		for _, name := range []string{program.Webhook, program.Handlers, program.Agent, program.Tool} {
			w.write(t, filepath.Join(w.programs, arch, name), "a program: "+name)
		}
	}
	w.write(t, w.config(), w.cloudYAML())
	return w
}

func (w *cloudWorld) config() string { return filepath.Join(w.dir, "mayfly.yaml") }

// push pushes files to the repository.
func (w *cloudWorld) push(t *testing.T, files map[string]string) {
	t.Helper()
	if _, err := w.sim.Push(githubsim.Push{Repository: worldRepository, Files: files}); err != nil {
		t.Fatal(err)
	}
}

func (w *cloudWorld) write(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (w *cloudWorld) cloudYAML() string {
	return fmt.Sprintf(`
github: {url: %s, token: env:GITHUB_TOKEN}
webhook: {at: %s, secrets: [env:MAYFLY_WEBHOOK_SECRET]}
platform: aws
image: {feed: %s/api/v3}
aws: {region: %s, stack: ci, vpc: %s, subnets: [%s]}
pools:
  - {name: small, labels: [self-hosted, small]}
  - {name: own, labels: [self-hosted, own], image: "ghcr.io/acme/runner:1"}
`, w.simURL, worldRepository, w.simURL, awstest.Region, w.network.VPC, w.network.Subnet)
}

// receive is the address of the webhook's function.
func (w *cloudWorld) receive(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("X-Hub-Signature-256") != hook.Sign(w.secret, body) {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Header.Get("X-GitHub-Event") == "ping" {
		w.pings.Add(1)
	}
	rw.WriteHeader(http.StatusAccepted)
}

// setAbsent has the stand-ins make or remove what moto's CloudFormation passes over.
func (w *cloudWorld) setAbsent(t *testing.T, there bool) {
	w.git.SetRepository("ci-image", there)
	w.builds.SetProject("ci-build-amd64", there)
	w.schemas.SetDiscoverer("ci", there)
	for _, name := range []string{"ci-webhook", "ci-app"} {
		w.cloud.SetSecret(t, name, there)
	}
	if !there {
		w.cloud.RemoveCluster(t, "ci") // moto's stacks go without their cluster
	}
}

// runBuild is CodeBuild: it pushes an image into moto's ECR.
func (w *cloudWorld) runBuild(t *testing.T) func(project, commit string, env map[string]string) awstest.Built {
	number := 0
	return func(project, commit string, env map[string]string) awstest.Built {
		number++
		if len(commit) != 40 {
			t.Errorf("a build of commit %q: want that of the source", commit)
		}
		arch := project[strings.LastIndex(project, "-")+1:]
		tag := fmt.Sprintf("%s-%s-%s-%d", env["RUNNER_VERSION"], env["SOURCE_REVISION"], arch, number)
		return awstest.Built{Exported: map[string]string{build.ExportedDigest: w.cloud.PushImage(t, "ci-runner", tag)}}
	}
}

// iam is IAM: SimulatePrincipalPolicy allows all but what is denied, and ECS has its role
// already.
func (w *cloudWorld) iam(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if r.Form.Get("Action") == "CreateServiceLinkedRole" {
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(rw, "<ErrorResponse><Error><Code>InvalidInput</Code><Message>Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.</Message></Error></ErrorResponse>")
		return
	}
	var results strings.Builder
	for i := 1; r.Form.Get(fmt.Sprintf("ActionNames.member.%d", i)) != ""; i++ {
		action, decision := r.Form.Get(fmt.Sprintf("ActionNames.member.%d", i)), "allowed"
		if action == w.denied.Load() {
			decision = "implicitDeny"
		}
		fmt.Fprintf(&results, "<member><EvalActionName>%s</EvalActionName><EvalDecision>%s</EvalDecision></member>", action, decision)
	}
	fmt.Fprintf(rw, "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>%s</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>", results.String())
}

// run runs the tool as a person would, with AWS and GitHub being those of w.
func (w *cloudWorld) run(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	all := append(w.cloud.Env(), "AWS_ENDPOINT_URL="+w.front.URL, "AWS_MAX_ATTEMPTS=1", "GITHUB_TOKEN="+w.token, "MAYFLY_WEBHOOK_SECRET="+w.secret)
	return tooltest.Run(t, append(all, env...), append(args, "-c", w.config())...)
}

// deploy runs mayfly deploy.
func (w *cloudWorld) deploy(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return w.run(t, nil, append([]string{"deploy", "--programs", w.programs, "--look", "5ms"}, args...)...)
}

// must is a run that has to succeed.
func (w *cloudWorld) must(t *testing.T, stdout, stderr string, code int) string {
	t.Helper()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	return cmp.Or(stdout, stderr)
}

// asJSON runs a command and reads the JSON it prints.
func asJSON[T any](t *testing.T, w *cloudWorld, args ...string) (v T) {
	t.Helper()
	out, errs, code := w.run(t, nil, args...)
	if err := json.Unmarshal([]byte(w.must(t, out, errs, code)), &v); err != nil {
		t.Fatalf("%v: %v in %s", args, err, out)
	}
	return v
}
