package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/programtest"
)

// A site is the function as it is deployed, with the AWS that it reaches.
type site struct {
	function *runtimeapi.Function
	secrets  *secretsmanager.Client // moto's
	log      *bytes.Buffer          // of the function; to be read when it is closed
	taken    []entry
	refuse   bool // the bus takes nothing
}

// An entry is one of PutEvents, as it comes over the wire.
type entry struct{ EventBusName, Source, DetailType, Detail string }

// ServeHTTP is EventBridge: moto would do, but never refuses an event.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Entries []entry }
	json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if s.refuse {
		io.WriteString(w, `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"a bad day"}]}`)
		return
	}
	s.taken = append(s.taken, in.Entries...)
	io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`)
}

// newSite builds and configures the function, and keeps its secret in moto.
func newSite(t *testing.T, env ...string) *site {
	t.Helper()
	cloud := awstest.Start(t)
	moto, err := url.Parse(cloud.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{secrets: secretsmanager.NewFromConfig(cloud.Config), log: &bytes.Buffer{}}
	proxy := httputil.NewSingleHostReverseProxy(moto)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AWSEvents.PutEvents" {
			s.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	made, err := s.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("hook"), SecretString: aws.String("old")})
	if err != nil {
		t.Fatal(err)
	}
	env = append(append(cloud.Env(), "AWS_ENDPOINT_URL="+front.URL, contract.EnvHandler+"="+contract.HandlerWebhook,
		contract.EnvBus+"=bus", contract.EnvWebhookSecret+"="+*made.ARN), env...)
	s.function, err = runtimeapi.New(runtimeapi.Config{Program: build(t), Env: env, Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.function.Close() })
	return s
}

// build builds the program with its settings beside it, as in its zip.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := programtest.BuildForLambda(dir, "mayfly-webhook"); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, contract.SettingsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	settings := contract.Settings{
		Pools:  pool.Set{{Name: "small", Labels: []string{"self-hosted", "small"}}},
		Events: []string{event.TypeWorkflowJob, "ping"}, MaxBody: 25 << 20, GitHub: contract.GitHub{URL: "https://github.com"},
	}
	if err := settings.Write(file); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "mayfly-webhook")
}

// deliver sends a delivery to the Function URL.
func (s *site) deliver(t *testing.T, name, secret, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", name)
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-Hub-Signature-256", hook.Sign(secret, []byte(body)))
	w := httptest.NewRecorder()
	(&runtimeapi.URL{Function: s.function}).ServeHTTP(w, r)
	return w
}

const job = `{"action":"queued","workflow_job":{"id":7,"run_id":5,"run_attempt":1,"name":"build","labels":["small"]},"repository":{"full_name":"acme/web"}}`

// oddJob has labels where nobody looks for them.
const oddJob = `{"action":"queued","workflow_job":{"id":8,"run_attempt":1,"runs_on":["small"],"name":"<b>"},"repository":{"full_name":"acme/web"}}`

// TestDeliveries has one process answer deliveries of all kinds, in turn.
func TestDeliveries(t *testing.T) {
	s := newSite(t)
	for _, step := range []struct {
		what, name, secret, body string
		before                   func()
		status                   int
		answer                   string // a part of it
		taken                    int    // events that are on the bus after it
	}{
		{"a job", "workflow_job", "old", job, nil, 202, `"pool":"small"`, 1},
		{"of no pool", "workflow_job", "old", strings.Replace(job, "small", "large", 1), nil, 202, "no pool takes", 2},
		{"ping", "ping", "old", `{"zen":"Keep it logically awesome."}`, nil, 202, "", 3},
		{"lacks what routing needs", "workflow_job", "old", oddJob, nil, 202, "in quarantine: workflow_job payload: workflow_job.labels is missing", 4},
		{"no object", "workflow_job", "old", `[]`, nil, 400, "", 4},
		{"not forwarded", "star", "old", `{}`, nil, 200, "nothing was done", 4},
		{"the bus takes nothing", "workflow_job", "old", job, func() { s.refuse = true }, 503, "could not be kept", 4},
		{"and takes again", "workflow_job", "old", job, func() { s.refuse = false }, 202, "", 5},
		{"too large for AWS", "ping", "old", fmt.Sprintf(`{"zen":%q}`, strings.Repeat("x", 1<<20)), nil, 413, "on AWS an event is less than 1 MB", 5},
		{"a new secret", "workflow_job", "new", job, func() { s.replace(t, "new") }, 202, "", 6},
		{"the one before it", "workflow_job", "old", job, nil, 202, "", 7},
		{"a wrong signature", "workflow_job", "guess", job, nil, 401, "not signed with", 7},
		{"a third, too soon", "workflow_job", "third", job, func() { s.replace(t, "third") }, 401, "", 7},
	} {
		if step.before != nil {
			step.before()
		}
		res := s.deliver(t, step.name, step.secret, step.body)
		if res.Code != step.status || !strings.Contains(res.Body.String(), step.answer) || len(s.taken) != step.taken {
			t.Errorf("%s: %d %s, %d events: want %d, %q, %d", step.what, res.Code, res.Body, len(s.taken), step.status, step.answer, step.taken)
		}
	}
	want := entry{"bus", "github.com", "workflow_job", job[:len(job)-1] +
		`,"mayfly":{"pool":"small","labels":"small","delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","job":"acme/web/7/1"}}`}
	if s.taken[0] != want {
		t.Errorf("on the bus is\n%+v, want\n%+v", s.taken[0], want)
	}
	odd := entry{"bus", "mayfly", "Delivery Quarantined", s.taken[3].Detail}
	var told contract.Quarantined
	if err := json.Unmarshal([]byte(odd.Detail), &told); err != nil || s.taken[3] != odd || string(told.Event.Detail) != oddJob || told.Event.ID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" {
		t.Errorf("in quarantine is %+v, %v", s.taken[3], err)
	}
	s.function.Close()
	if log := s.log.String(); !strings.Contains(log, "a bad day") || strings.Contains(log, "third") {
		t.Errorf("log lacks why the bus took nothing, or holds a secret:\n%s", log)
	}
}

func (s *site) replace(t *testing.T, value string) {
	t.Helper()
	if _, err := s.secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("hook"), SecretString: &value}); err != nil {
		t.Fatal(err)
	}
}

// TestNotStarted has functions that are configured wrongly: each call fails, and the
// log says why.
func TestNotStarted(t *testing.T) {
	for env, want := range map[string]string{
		contract.EnvHandler + "=claim":      `MAYFLY_HANDLER \"claim\"`,
		contract.EnvWebhookSecret + "=none": "reading the secret none",
	} {
		s := newSite(t, env)

		if answer, err := s.function.Invoke(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf("%s: answer %s, %v", env, answer, err)
		}
		s.function.Close()
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("%s: the log is %s", env, s.log)
		}
	}
}
