package minirunner_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

type object = map[string]any

// A fake is GitHub's side for one runner, in the shapes that the official runner
// was seen to take. Any of its answers can be exchanged for another, as githubsim's
// cannot.
type fake struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	asked    []string            // METHOD path, in order
	bodies   map[string][]string // by the same
	queries  map[string]string   // the last, by the same
	instead  map[string][]answer // the next answers to a call, by the same
	messages chan object
	blobs    map[string]string // what was uploaded, by the id in the address
	job      object            // what acquirejob answers
	launch   object            // what the launch service answers
	files    map[string][]byte // what can be downloaded, by path
}

type answer struct {
	status int
	body   any
}

func newFake(t *testing.T, steps ...object) *fake {
	f := &fake{
		t: t, bodies: map[string][]string{}, queries: map[string]string{}, instead: map[string][]answer{}, messages: make(chan object, 10),
		blobs: map[string]string{}, files: map[string][]byte{},
	}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	f.url = server.URL
	f.job = f.jobMessage(steps...)
	return f
}

// token is an access token as GitHub's are: a JWT.
func token() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"typ":"JWT","alg":"RS256"}`)) + "." + part([]byte(`{"orchid":"o"}`)) + "." + part([]byte("signature"))
}

func (f *fake) jobMessage(steps ...object) object {
	list := []any{}
	for _, s := range steps {
		list = append(list, s)
	}
	value := func(v string) object { return object{"value": v} }
	return object{
		"messageType": "RunnerJobRequest", "plan": object{"planId": "plan"}, "jobId": "job", "jobName": "build", "jobDisplayName": "build",
		"resources": object{"endpoints": []any{object{
			"name": "SystemVssConnection", "url": f.url + "/run/plan",
			"authorization": object{"scheme": "OAuth", "parameters": object{"AccessToken": token()}},
		}}},
		"variables": object{
			"system.github.token":            object{"value": "ghs_secret", "isSecret": true},
			"system.github.results_endpoint": value(f.url + "/results/"), "system.github.launch_endpoint": value(f.url + "/launch/"),
			"system.runnerEnvironment": value("self-hosted"), "actions_display_helpful_actions_download_errors": value("true"),
		},
		"contextData": object{"github": object{"t": 2, "d": []any{
			object{"k": "repository", "v": "acme/web"}, object{"k": "server_url", "v": f.url}, object{"k": "sha", "v": "abc"},
		}}},
		"mask": []any{}, "steps": list, "environmentVariables": []any{}, "defaults": []any{},
	}
}

// set sets a variable of the job.
func (f *fake) set(name, value string) { f.job["variables"].(object)[name] = object{"value": value} }

// script is a step of a job.
func script(name, text, condition string) object {
	return object{
		"type": "action", "id": newID(name), "contextName": name, "condition": condition, "reference": object{"type": "script"},
		"displayNameToken": object{"type": 0, "lit": name},
		"inputs":           object{"type": 2, "map": []any{object{"key": "script", "value": object{"lit": text}}}},
	}
}

// uses is a step of a job that uses an action of a repository, or of the workspace.
func uses(name, action string, with object) object {
	repository, ref, _ := strings.Cut(action, "@")
	reference := object{"type": "repository", "repositoryType": "GitHub", "name": repository, "ref": ref}
	if strings.HasPrefix(action, "./") {
		reference = object{"type": "repository", "repositoryType": "self", "path": action}
	}
	inputs := []any{}
	for k, v := range with {
		inputs = append(inputs, object{"key": k, "value": v})
	}
	return object{
		"type": "action", "id": newID(name), "contextName": name, "condition": "success()", "reference": reference,
		"displayNameToken": object{"type": 0, "lit": name}, "inputs": object{"type": 2, "map": inputs},
	}
}

func newID(name string) string { return fmt.Sprintf("id-of-%s", strings.ReplaceAll(name, " ", "-")) }

// answer has the next call of a kind answered with something else.
func (f *fake) answer(call string, status int, body any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead[call] = append(f.instead[call], answer{status, body})
}

// refusal is an error body of the broker, runRefusal one of the run service.
func refusal(status int, kind string) object {
	return object{"source": "actions-broker-listener", "errorKind": kind, "statusCode": status, "errorMessage": "because of " + kind}
}

func runRefusal(status int) object {
	return object{"source": "actions-run-service", "statusCode": status, "errorMessage": "because"}
}

// offer leaves the message of the job.
func (f *fake) offer() {
	f.message("RunnerJobRequest", object{
		"runner_request_id": "request", "run_service_url": f.url + "/run/plan", "billing_owner_id": "1", "should_acknowledge": true,
	})
}

func (f *fake) message(kind string, body object) {
	text, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	f.messages <- object{"messageId": 1, "messageType": kind, "body": string(text)}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked = append(f.asked, call)
	f.bodies[call] = append(f.bodies[call], string(body))
	f.queries[call] = r.URL.RawQuery
	other := f.instead[call]
	if len(other) > 0 {
		f.instead[call] = other[1:]
	}
	f.mu.Unlock()
	if len(other) > 0 {
		reply(w, other[0].status, other[0].body)
		return
	}
	f.usual(w, r, body)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	switch body := body.(type) {
	case nil:
	case []byte:
		_, _ = w.Write(body)
	default:
		_ = json.NewEncoder(w).Encode(body)
	}
}

// usual answers a call as GitHub usually does.
func (f *fake) usual(w http.ResponseWriter, r *http.Request, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch path := r.URL.Path; {
	case path == "/tenant/_apis/connectionData":
		reply(w, 200, object{"locationServiceData": object{"serviceDefinitions": []any{}}})
	case path == "/token":
		reply(w, 200, object{"access_token": "access", "expires_in": 3600, "token_type": "bearer"})
	case path == "/broker/session" && r.Method == http.MethodPost:
		reply(w, 200, object{"sessionId": fmt.Sprint("session-", len(f.bodies["POST /broker/session"]))})
	case path == "/broker/session":
		reply(w, 204, nil)
	case path == "/broker/message":
		f.mu.Unlock()
		defer f.mu.Lock()
		select {
		case m := <-f.messages:
			reply(w, 200, m)
		case <-r.Context().Done():
		}
	case path == "/broker/acknowledge", path == "/run/completejob":
		reply(w, 200, nil)
	case path == "/run/acquirejob":
		reply(w, 200, f.job)
	case path == "/run/renewjob":
		reply(w, 200, object{"lockedUntil": time.Now().Add(10 * time.Minute)})
	case path == "/actions/build/plan/jobs/job/runnerresolve/actions":
		reply(w, 200, f.launch)
	case strings.HasPrefix(path, "/results/twirp/") && strings.HasSuffix(path, "LogsSignedBlobURL"):
		var in struct{ Step_backend_id string }
		_ = json.Unmarshal(body, &in)
		reply(w, 200, object{"logs_url": f.url + "/blob/log-" + in.Step_backend_id + "?sig=x"})
	case strings.HasSuffix(path, "GetStepSummarySignedBlobURL"):
		reply(w, 200, object{"summary_url": f.url + "/blob/summary?sig=x"})
	case strings.HasPrefix(path, "/blob/"):
		f.blobs[path] += string(body)
		reply(w, 201, nil)
	case strings.HasPrefix(path, "/results/twirp/"):
		reply(w, 200, object{"ok": true})
	case f.files[path] != nil:
		reply(w, 200, f.files[path])
	default:
		reply(w, 404, nil)
	}
}

// count is how often a call was made.
func (f *fake) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies[call])
}

// last reads the body of the last call of a kind.
func (f *fake) last(call string) object {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	bodies := f.bodies[call]
	if len(bodies) == 0 {
		f.t.Fatalf("%s was not called, but %q", call, slices.Compact(f.asked))
	}
	var in object
	if err := json.Unmarshal([]byte(bodies[len(bodies)-1]), &in); err != nil {
		f.t.Fatal(err)
	}
	return in
}

// log is what was uploaded of the job's log, and stepLog of a step's.
func (f *fake) log() string { return f.stepLog("") }

func (f *fake) stepLog(step string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blobs["/blob/log-"+step]
}

// steps is how each step ended, as completejob said.
func (f *fake) steps() map[string]string {
	all := map[string]string{}
	for _, s := range f.last("POST /run/completejob")["stepResults"].([]any) {
		all[s.(object)["name"].(string)] = s.(object)["conclusion"].(string)
	}
	return all
}

// config is that of a runner for one job, in a folder of its own.
func (f *fake) config() minirunner.Config {
	f.t.Helper()
	key, err := keys.Key()
	if err != nil {
		f.t.Fatal(err)
	}
	id, err := minirunner.DecodeJIT(jit.Config{
		RunnerID: 7, Name: "r1", Group: "Default", GroupID: 1, WorkFolder: "_work", ClientID: "client", GitHubURL: f.url + "/acme/web",
		ServerURL: f.url + "/tenant", BrokerURL: f.url + "/broker/", AuthURL: f.url + "/token", Key: key,
	}.Encode())
	if err != nil {
		f.t.Fatal(err)
	}
	return minirunner.Config{
		Identity: id, Root: f.t.TempDir(), Env: map[string]string{"PATH": os.Getenv("PATH")}, Pauses: quick(),
	}
}

// run offers the job to a runner and waits until that has left.
func (f *fake) run(ctx context.Context) (int, string) {
	f.t.Helper()
	f.offer()
	return start(ctx, f.t, f.config()).wait()
}
