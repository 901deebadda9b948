package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/programtest"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const (
	repository = "acme/web"
	runnerPath = "/opt/runner/mayfly-minirunner"
)

// A world is the whole stack on the loopback. What is real: the functions' programs,
// the agent, the runner's stand-in, containers, signatures, and all of the template that is
// evaluated. What stands for AWS:
//
//	Lambda, Function URLs    runtimeapi; signatures are checked with AWS's own signer
//	EventBridge, ECS         ours, in bus_test.go and ecs_test.go: moto runs no tasks
//	DynamoDB, Secrets, SQS   moto
//
// GitHub is githubsim. IAM policies, retries, dead letters and scaling are not here.
type world struct {
	t      *testing.T
	image  string // what runners start from
	stack  *awstest.Deployed
	bus    *eventBridge
	ecs    *elasticContainers
	sim    *githubsim.Sim
	hook   *httptest.Server          // the webhook's Function URL
	claims *httptest.Server          // that of the claim function
	ledger *dynamo.Ledger            // to look at
	hooks  secret.Secret             // of the webhook
	key    string                    // of the App, PEM
	calls  map[string]*awstest.Front // what stands for AWS, by function
	sweeps *runtimeapi.Function
}

// newWorld opens a world whose one pool, small, has these further settings.
func newWorld(t *testing.T, pool string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("builds four programs and an image")
	}
	socket := dockertest.Serve(t)
	cloud := awstest.Start(t)
	w := &world{t: t, image: hosttools.NewName("lambda-test"), hooks: secret.New("It's a Secret to Everybody"), calls: map[string]*awstest.Front{}}
	programs := buildAll(t)
	hub := w.openHub()
	yaml := w.mayflyYAML(hub, pool)
	w.stack = awstest.Deploy(t, yaml)
	hook, claims := &runtimeapi.URL{}, &runtimeapi.URL{}
	w.hook, w.claims = serve(t, hook), serve(t, claims)
	w.stack.Values["WebhookUrl.FunctionUrl"], w.stack.Values["ClaimUrl.FunctionUrl"] = w.hook.URL+"/", w.claims.URL+"/"
	w.stack.Values["TaskRole.RoleId"] = "AROATASK"
	w.keepSecrets(cloud)
	w.bus = newEventBridge(w.stack)
	w.openECS(socket, programs)
	claims.Caller = w.ecs.caller
	start := func(id, program string) *runtimeapi.Function {
		w.calls[id] = cloud.Front(t, map[string]http.Handler{"events": w.bus, "ecs": w.ecs}) // its own, to see its calls
		return w.start(id, filepath.Join(programs, program), append(cloud.Env(), "AWS_ENDPOINT_URL="+w.calls[id].URL), yaml)
	}
	hook.Function, claims.Function = start("WebhookFunction", "mayfly-webhook"), start("ClaimFunction", "mayfly-lambda")
	w.sweeps = start("SweepFunction", "mayfly-lambda")
	w.bus.send["EffectsQueue.Arn"] = w.poll(w.sweeps)
	w.bus.send["LedgerQueue.Arn"] = w.poll(start("LedgerFunction", "mayfly-lambda"))
	if _, err := w.sim.AddWebhook(githubsim.Webhook{
		Repository: repository, URL: w.hook.URL + "/", Secret: w.hooks, Events: []string{event.TypeWorkflowJob},
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

// mayflyYAML is what a person wrote.
func (w *world) mayflyYAML(hub, pool string) string {
	return `
platform: aws
github: {url: "` + hub + `", app: {id: 1234, private_key: "env:KEY"}}
webhook: {secrets: ["env:SECRET"], at: ` + repository + `}
aws: {region: ` + awstest.Region + `, stack: ci}
pools:
  - {name: small, labels: [self-hosted, small], image: "` + w.image + `", command: ["` + runnerPath + `"], memory: 512MiB, cpus: 0.5` + pool + `}
`
}

// buildAll builds the programs for this machine, as they are built for AWS.
func buildAll(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := programtest.BuildForLambda(dir, "mayfly-webhook", "mayfly-lambda", "mayfly-agent", "mayfly-minirunner"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openHub serves GitHub's side and returns its address.
func (w *world) openHub() string {
	w.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.t.Fatal(err)
	}
	w.key = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	sim, err := githubsim.New(githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: w.t.TempDir(),
		App: &githubsim.App{ID: 1234, Slug: "mayfly", Key: &key.PublicKey},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sim = sim
	server := httptest.NewServer(sim)
	w.t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			w.t.Error(err)
		}
		server.Close()
	})
	if err := sim.CreateRepository(githubsim.Repository{Name: repository}); err != nil {
		w.t.Fatal(err)
	}
	return server.URL
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// keepSecrets fills secrets and makes the ledger's table and the queue in moto, as `mayfly deploy`
// and CloudFormation do.
func (w *world) keepSecrets(cloud *awstest.Cloud) {
	w.t.Helper()
	secrets := secretsmanager.NewFromConfig(cloud.Config)
	for id, value := range map[string]string{"WebhookSecret": w.hooks.Reveal(), "AppSecret": w.key} {
		made, err := secrets.CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &id, SecretString: &value})
		if err != nil {
			w.t.Fatal(err)
		}
		w.stack.Values[id] = *made.ARN
	}
	tables := dynamodb.NewFromConfig(cloud.Config)
	if _, err := tables.CreateTable(w.t.Context(), awstest.LedgerTable(w.stack.Values["Ledger"])); err != nil {
		w.t.Fatal(err)
	}
	queue, err := sqs.NewFromConfig(cloud.Config).CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("ci-dead-letters")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.stack.Values["DeadLetters"] = *queue.QueueUrl
	w.ledger = dynamo.New(tables, dynamo.Config{Table: w.stack.Values["Ledger"], Log: slog.New(slog.DiscardHandler)})
}

// openECS opens the cluster, with an image of the agent and the runner's stand-in.
func (w *world) openECS(socket, programs string) {
	w.t.Helper()
	api, err := docker.Dial(socket)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { api.Close() })
	dockertest.Load(w.t, socket, w.image, hosttools.Config{Tools: hosttools.Tools(), Files: map[string]string{
		contract.AgentPath: filepath.Join(programs, "mayfly-agent"), runnerPath: filepath.Join(programs, "mayfly-minirunner"),
	}})
	w.ecs = newECS(w.stack, api, w.bus)
}

// start makes a function of the template: its program with its settings beside it, and
// the environment that the stack gives it.
func (w *world) start(id, program string, env []string, yaml string) *runtimeapi.Function {
	w.t.Helper()
	dir := w.t.TempDir()
	bootstrap := filepath.Join(dir, "bootstrap")
	if err := os.Link(program, bootstrap); err != nil {
		w.t.Fatal(err)
	}
	settings, err := os.Create(filepath.Join(dir, contract.SettingsFile))
	if err != nil {
		w.t.Fatal(err)
	}
	defer settings.Close()
	c, err := config.Parse("mayfly.yaml", []byte(yaml))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := (contract.Settings{
		Pools: c.PoolSet(), Hosts: c.StackHosts(), Events: c.Webhook.Events, MaxBody: int64(c.Webhook.MaxBody),
		GitHub: contract.GitHub{URL: c.GitHub.URL, AppID: c.GitHub.App.ID}, RunnersAt: c.GitHub.RunnersAt, HookAt: c.Webhook.At,
	}).Write(settings); err != nil {
		w.t.Fatal(err)
	}
	log := &lockedBuffer{}
	f, err := runtimeapi.New(runtimeapi.Config{Program: bootstrap, Env: append(env, environment(w.stack.Environment(id))...), Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		f.Close()
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", id, log)
		}
	})
	return f
}

// poll calls a function with what a rule sends to its queue, as a batch of one message, and again when that fails, as
// Lambda does once the message is visible again.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (w *world) poll(f *runtimeapi.Function) func(context.Context, target) {
	return func(ctx context.Context, to target) {
		batch, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(to.input)}}})
		if err != nil {
			w.t.Error(err)
			return
		}
		for begun := time.Now(); ; <-time.After(500 * time.Millisecond) {
			answer, err := f.Invoke(ctx, batch)
			var failed events.SQSEventResponse
			if err == nil {
				err = json.Unmarshal(answer, &failed)
			}
			if err == nil && len(failed.BatchItemFailures) == 0 {
				return
			}
			if time.Since(begun) > 30*time.Second {
				w.t.Errorf("rule %s: %v, %s", to.rule.id, err, answer)
				return
			}
		}
	}
}

// sweep has the minute's sweep run.
func (w *world) sweep() {
	w.t.Helper()
	schedule := `{"version":"0","id":"s","source":"aws.events","detail-type":"Scheduled Event","account":"` + awstest.Account + `","region":"` + awstest.Region +
		`","time":"` + time.Now().UTC().Format(time.RFC3339) + `","resources":[],"detail":{}}`
	if _, err := w.sweeps.Invoke(w.t.Context(), []byte(schedule)); err != nil {
		w.t.Errorf("sweep: %v", err)
	}
}

// settle waits until nothing is under way: no delivery, no event, no task.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	for range 2 { // what a task did last is delivered, too
		if err := w.sim.WaitDelivered(ctx); err != nil {
			w.t.Fatal(err)
		}
		w.bus.work.Wait()
	}
}

// post sends a request to a Function URL and returns its status and answer.
func (w *world) post(client *http.Client, url, body string, header http.Header) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = header
	if header == nil {
		r.Header = http.Header{"Content-Type": {"application/json"}}
	}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// A lockedBuffer is what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// environment returns variables as a process takes them.
func environment(variables map[string]string) (env []string) {
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	return env
}
