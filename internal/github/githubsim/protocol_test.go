package githubsim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

func TestJITRunnerRunsOneJob(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	r := w.jitRunner("r1", "Linux", "x64", "extra").connect()
	o := r.offered()
	if got := r.call("POST", r.broker+"acknowledge?sessionId="+r.session, map[string]string{"runnerRequestId": o.ID}).code; got != http.StatusOK {
		t.Errorf("acknowledge: %d", got)
	}
	a := r.acquire(o)
	if a.code != http.StatusOK {
		t.Fatalf("acquirejob: %d %s", a.code, a.text)
	}
	if got := r.acquire(o).code; got != http.StatusConflict {
		t.Errorf("second acquirejob: %d, want 409", got)
	}
	if got := w.job("build"); got.Status != githubsim.StatusInProgress || got.Runner != "r1" || got.Started != 1 {
		t.Errorf("job is %+v", got)
	}
	if got := r.call("POST", o.URL+"/renewjob", map[string]any{"planId": o.ID, "jobId": o.ID}).code; got != http.StatusOK {
		t.Errorf("renewjob: %d", got)
	}
	w.uploadLog(a, "hello\n", "world\n")
	if got := r.complete(o, "succeeded", map[string]string{"k": "v"}).code; got != http.StatusNoContent {
		t.Errorf("completejob: %d", got)
	}
	job := w.job("build")
	if job.Conclusion != githubsim.Success || len(job.Steps) != 2 {
		t.Errorf("job is %+v", job)
	}
	if got := w.Log(job.ID); got != "hello\nworld\n" {
		t.Errorf("log is %q", got)
	}
	if got := w.Outputs(job.ID)["k"]; got != "v" {
		t.Errorf("outputs are %v", w.Outputs(job.ID))
	}
	if got := w.Runners(); len(got) != 0 {
		t.Errorf("runners left: %v", got)
	}
	if a := r.assert(jwt.SigningMethodRS256, r.key, r.claims()); a.code != http.StatusBadRequest || a.body["error"] != "invalid_client" {
		t.Errorf("spent runner got %d %v, want invalid_client", a.code, a.body)
	}
	if got := r.poll().code; got != http.StatusAccepted {
		t.Errorf("spent runner's poll: %d, want 202", got)
	}
	if got := r.call("DELETE", r.broker+"session", nil).code; got != http.StatusNoContent {
		t.Errorf("spent runner's end of its session: %d, want 204", got)
	}
	w.clock.advance(2 * time.Minute)
	r.refused(r.poll(), http.StatusNotFound, "RunnerNotFound")
}

// uploadLog sends a step's log in blocks, as the official runner does.
func (w *world) uploadLog(message answer, blocks ...string) {
	w.t.Helper()
	endpoint := message.body["resources"].(map[string]any)["endpoints"].([]any)[0].(map[string]any)
	token := endpoint["authorization"].(map[string]any)["parameters"].(map[string]any)["AccessToken"].(string)
	base := message.body["variables"].(map[string]any)["system.github.results_endpoint"].(map[string]any)["value"].(string)
	a := w.call("Bearer "+token, "POST", base+"twirp/results.services.receiver.Receiver/GetStepLogsSignedBlobURL",
		map[string]any{
			"workflow_run_backend_id": message.body["plan"].(map[string]any)["planId"], "workflow_job_run_backend_id": message.body["jobId"], "step_backend_id": "s1",
		})
	if a.code != http.StatusOK {
		w.t.Fatalf("signed URL: %d %s", a.code, a.text)
	}
	address := a.body["logs_url"].(string)
	put := func(address, kind, body string) int {
		req, _ := http.NewRequest("PUT", address, strings.NewReader(body))
		req.Header.Set("x-ms-blob-type", kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := put(address, "AppendBlob", ""); got != http.StatusCreated {
		w.t.Errorf("creating the blob: %d", got)
	}
	for _, b := range blocks {
		if got := put(address+"&comp=appendblock", "AppendBlob", b); got != http.StatusCreated {
			w.t.Errorf("appending a block: %d", got)
		}
	}
	if got := put(strings.Replace(address, "sig=", "sig=x", 1), "AppendBlob", ""); got != http.StatusForbidden {
		w.t.Errorf("a wrong signature: %d, want 403", got)
	}
	if got := w.call("Bearer x", "POST", base+"twirp/results.services.receiver.Receiver/GetJobLogsSignedBlobURL", map[string]string{}).code; got != http.StatusUnauthorized {
		w.t.Errorf("a wrong job token: %d, want 401", got)
	}
}

func TestRegisteredRunnerRunsManyJobs(t *testing.T) {
	w := newWorld(t)
	r := w.registeredRunner("r1", false, "linux", "x64").connect()
	for range 2 {
		w.push(one)
		r.run("failed", nil)
	}
	for _, j := range w.Jobs() {
		if j.Conclusion != githubsim.Failure || j.Runner != "r1" {
			t.Errorf("job is %+v", j)
		}
	}
	if got := w.Runners(); len(got) != 1 || got[0].Busy || !got[0].Online {
		t.Errorf("runners: %+v", got)
	}
}

func TestAssertionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	r := w.jitRunner("r1", "linux")
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, v any) jwt.MapClaims {
		c := maps.Clone(r.claims())
		c[name] = v
		return c
	}
	for name, a := range map[string]answer{
		"another's key":     r.assert(jwt.SigningMethodPS256, stranger, r.claims()),
		"unknown client":    r.assert(jwt.SigningMethodPS256, r.key, with("iss", "nobody")),
		"expired":           r.assert(jwt.SigningMethodPS256, r.key, with("exp", w.clock.Now().Add(-2*time.Minute).Unix())),
		"for somebody else": r.assert(jwt.SigningMethodPS256, r.key, with("aud", "https://example.com/token")),
		"not yet":           r.assert(jwt.SigningMethodPS256, r.key, with("nbf", w.clock.Now().Add(time.Hour).Unix())),
	} {
		if a.code != http.StatusBadRequest || a.body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v, want 400 invalid_client", name, a.code, a.body)
		}
	}
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodPS256, jwt.SigningMethodRS256} {
		if a := r.assert(m, r.key, r.claims()); a.code != http.StatusOK {
			t.Errorf("%s: %d %v, want 200", m.Alg(), a.code, a.body)
		}
	}
}

func TestTokensExpire(t *testing.T) {
	w := newWorld(t)
	token := w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/registration-token", nil).body["token"].(string)
	removal := w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/remove-token", nil).body["token"].(string)
	r := w.registeredRunner("r1", false, "linux").connect()
	register := func(token, name string) int {
		return w.call("RemoteAuth "+token, "POST", "/api/v3/actions/runners/register", registerBody(name, r.key, true, "linux")).code
	}
	if got := register(removal, "r2"); got != http.StatusUnauthorized {
		t.Errorf("registering with a remove token: %d, want 401", got)
	}
	if got := register(token, "r1"); got != http.StatusConflict {
		t.Errorf("registering a name twice: %d, want 409", got)
	}
	if got := w.call("RemoteAuth "+token, "POST", "/api/v3/actions/runner-registration", map[string]any{"url": w.url + "/acme/other"}).code; got != http.StatusNotFound {
		t.Errorf("token of another repository: %d, want 404", got)
	}
	w.clock.advance(time.Hour)
	if got := register(token, "r3"); got != http.StatusUnauthorized {
		t.Errorf("registering with an expired token: %d, want 401", got)
	}
	if got := w.call("RemoteAuth "+token, "POST", "/api/v3/actions/runner-registration", nil).code; got != http.StatusNotFound {
		t.Errorf("runner-registration with an expired token: %d, want 404", got)
	}
	if got := r.poll().code; got != http.StatusUnauthorized {
		t.Errorf("poll with an expired access token: %d, want 401", got)
	}
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	r := w.jitRunner("r1", "linux").connect()
	r.refused(r.openSession(), http.StatusConflict, "TaskAgentSessionConflict")
	if got := r.poll().code; got != http.StatusAccepted {
		t.Errorf("poll without a job: %d, want 202", got)
	}
	r.refused(r.call("GET", r.broker+"message?sessionId=x", nil), http.StatusUnauthorized, "RunnerSessionInvalid")
	if got := r.call("DELETE", r.broker+"session?sessionId="+r.session, nil).code; got != http.StatusNoContent {
		t.Errorf("closing: %d", got)
	}
	if got := w.Runners()[0].Online; got {
		t.Error("the runner is online after its session ended")
	}
	if got := r.openSession().code; got != http.StatusOK {
		t.Errorf("session after the first ended: %d", got)
	}
}

func TestJobGoesToRunnersThatFit(t *testing.T) {
	w := newWorld(t)
	w.push(one) // linux and X64
	if got := w.jitRunner("short", "linux").connect().poll().code; got != http.StatusAccepted {
		t.Errorf("a runner without x64 got %d, want 202", got)
	}
	if err := w.CreateRepository(githubsim.Repository{Name: "acme/other"}); err != nil {
		t.Fatal(err)
	}
	a := w.api(http.StatusCreated, "POST", "/repos/acme/other/actions/runners/generate-jitconfig",
		map[string]any{"name": "elsewhere", "runner_group_id": 1, "labels": []string{"linux", "x64"}})
	if got := w.decodeJIT(a.body["encoded_jit_config"].(string)).connect().poll().code; got != http.StatusAccepted {
		t.Errorf("a runner of another repository got %d, want 202", got)
	}
	a = w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runners/generate-jitconfig",
		map[string]any{"name": "org", "runner_group_id": 1, "labels": []string{"LINUX", "x64"}})
	w.decodeJIT(a.body["encoded_jit_config"].(string)).connect().run("succeeded", nil)
	if got := w.job("build"); got.Runner != "org" || got.RunnerOf != "orgs/acme" {
		t.Errorf("job is %+v", got)
	}
}

func TestRunnerGroups(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {a: {runs-on: {group: Big, labels: [linux]}, steps: [{run: 'true'}]}}")
	id := w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runner-groups", map[string]any{"name": "big"}).body["id"]
	jit := func(name string, group any) *handRunner {
		a := w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runners/generate-jitconfig",
			map[string]any{"name": name, "runner_group_id": group, "labels": []string{"linux"}})
		return w.decodeJIT(a.body["encoded_jit_config"].(string)).connect()
	}
	if got := jit("default", 1).poll().code; got != http.StatusAccepted {
		t.Errorf("a runner of the default group got %d, want 202", got)
	}
	jit("big", id).run("succeeded", nil)
	w.api(http.StatusNotFound, "POST", "/orgs/acme/actions/runners/generate-jitconfig",
		map[string]any{"name": "x", "runner_group_id": 999, "labels": []string{"linux"}})
}

func TestJobNotPickedUpGoesToAnother(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	lazy := w.jitRunner("lazy", "linux", "x64").connect()
	o := lazy.offered()
	w.clock.advance(61 * time.Second)
	w.Expire()
	w.jitRunner("eager", "linux", "x64").connect().run("succeeded", nil)
	if got := lazy.acquire(o).code; got != http.StatusNotFound {
		t.Errorf("acquiring what another had: %d, want 404", got)
	}
	if got := w.job("build"); got.Runner != "eager" || got.Given != 2 || got.Started != 1 {
		t.Errorf("job is %+v", got)
	}
	if got := len(w.Runners()); got != 1 {
		t.Errorf("%d runners, want the lazy one", got)
	}
}

func TestJobWhoseRunnerIsSilentFails(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	r := w.jitRunner("r1", "linux", "x64").connect()
	o := r.offered()
	r.acquire(o)
	w.clock.advance(9 * time.Minute)
	r.call("POST", o.URL+"/renewjob", map[string]any{})
	w.clock.advance(9 * time.Minute)
	w.Expire()
	if got := w.job("build").Status; got != githubsim.StatusInProgress {
		t.Fatalf("a renewed job is %s", got)
	}
	w.clock.advance(2 * time.Minute)
	w.Expire()
	if got := w.job("build"); got.Conclusion != githubsim.Failure {
		t.Errorf("job is %+v", got)
	}
	if got := r.complete(o, "succeeded", nil).code; got != http.StatusNotFound {
		t.Errorf("completing a lost job: %d, want 404", got)
	}
}

func TestCancelTellsTheRunner(t *testing.T) {
	w := newWorld(t)
	run := w.push(one)[0]
	r := w.jitRunner("r1", "linux", "x64").connect()
	o := r.offered()
	r.acquire(o)
	w.api(http.StatusUnprocessableEntity, "DELETE", "/repos/acme/web/actions/runners/"+id(w.Runners()[0].ID), nil)
	if err := w.CancelRun(run.ID); err != nil {
		t.Fatal(err)
	}
	a := r.poll()
	if a.body["messageType"] != "JobCancellation" {
		t.Fatalf("message: %d %s", a.code, a.text)
	}
	var body map[string]string
	if err := json.Unmarshal([]byte(a.body["body"].(string)), &body); err != nil || body["jobId"] != o.ID {
		t.Errorf("cancellation is %v, %v", body, err)
	}
	r.complete(o, "succeeded", nil)
	if got := w.job("build").Conclusion; got != githubsim.Cancelled {
		t.Errorf("conclusion is %s", got)
	}
	if got := w.Runs()[0]; got.Conclusion != githubsim.Cancelled || got.Status != githubsim.StatusCompleted {
		t.Errorf("run is %+v", got)
	}
}

func TestLimitsOfADay(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	w.jitRunner("never", "other")
	w.clock.advance(24*time.Hour + time.Second)
	w.Expire()
	if got := w.job("build"); got.Conclusion != githubsim.Failure || got.Started != 0 {
		t.Errorf("job is %+v", got)
	}
	if got := w.Runners(); len(got) != 0 {
		t.Errorf("runners that never connected: %+v", got)
	}
}

func TestTimeoutCancels(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {j: {runs-on: linux, timeout-minutes: 1, steps: [{run: 'true'}]}}")
	r := w.jitRunner("r1", "linux").connect()
	o := r.offered()
	r.acquire(o)
	w.clock.advance(61 * time.Second)
	w.Expire()
	if got := r.poll().body["messageType"]; got != "JobCancellation" {
		t.Errorf("message is %v", got)
	}
	r.complete(o, "canceled", nil)
	if got := w.job("j").Conclusion; got != githubsim.Cancelled {
		t.Errorf("conclusion is %s", got)
	}
}

func TestStrangersMayNotTouchAJob(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	other := w.jitRunner("other", "windows").connect()
	r := w.jitRunner("r1", "linux", "x64").connect()
	o := r.offered()
	if got := other.acquire(o).code; got != http.StatusNotFound {
		t.Errorf("acquiring another's job: %d, want 404", got)
	}
	r.acquire(o)
	if got := other.complete(o, "succeeded", nil).code; got != http.StatusNotFound {
		t.Errorf("completing another's job: %d, want 404", got)
	}
	if got := w.call("", "POST", o.URL+"/completejob", map[string]any{"conclusion": "succeeded"}).code; got != http.StatusUnauthorized {
		t.Errorf("completing without a token: %d, want 401", got)
	}
}

func TestJobMessage(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
env: {A: file}
defaults: {run: {shell: bash, working-directory: src}}
jobs:
  build:
    runs-on: linux
    strategy: {matrix: {os: [alpine]}}
    env: {B: "${{ matrix.os }}-1", C: "${{ env.A }}"}
    outputs: {o: "${{ steps.s.outputs.x }}"}
    steps:
      - {id: s, run: "echo ${{ matrix.os }} {a} ${{ steps.z.outputs.y }}", if: "github.ref == 'refs/heads/main'", timeout-minutes: 2}
      - {uses: actions/checkout@v4, with: {fetch-depth: 0}, if: always(), continue-on-error: true}
`)
	r := w.jitRunner("r1", "linux").connect()
	m := r.acquire(r.offered()).body
	step := m["steps"].([]any)[0].(map[string]any)
	lit := func(s string) map[string]any { return map[string]any{"type": 0.0, "lit": s} }
	mapping := func(pairs ...any) map[string]any {
		list := []any{}
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, map[string]any{"key": lit(pairs[i].(string)), "value": pairs[i+1]})
		}
		return map[string]any{"type": 2.0, "map": list}
	}
	formula := func(s string) map[string]any { return map[string]any{"type": 3.0, "expr": s} }
	checks := map[string][2]any{
		"name":      {m["jobDisplayName"], "build (alpine)"},
		"env":       {m["environmentVariables"], []any{mapping("A", lit("file")), mapping("B", lit("alpine-1"), "C", formula("env.A"))}},
		"outputs":   {m["jobOutputs"], mapping("o", formula("steps.s.outputs.x"))},
		"defaults":  {m["defaults"], []any{mapping("run", mapping("shell", lit("bash"), "working-directory", lit("src")))}},
		"script":    {step["inputs"], mapping("script", formula("format('echo {0} {{a}} {1}', matrix.os, steps.z.outputs.y)"))},
		"condition": {step["condition"], "success() && (github.ref == 'refs/heads/main')"},
		"timeout":   {step["timeoutInMinutes"], map[string]any{"type": 6.0, "num": 2.0}},
	}
	step = m["steps"].([]any)[1].(map[string]any)
	checks["uses"] = [2]any{step["reference"], map[string]any{"type": "repository", "name": "actions/checkout", "ref": "v4", "repositoryType": "GitHub"}}
	checks["with"] = [2]any{step["inputs"], mapping("fetch-depth", lit("0"))}
	checks["always"] = [2]any{step["condition"], "always()"}
	checks["forgiven"] = [2]any{step["continueOnError"], map[string]any{"type": 5.0, "bool": true}}
	for name, c := range checks {
		if diff := cmp.Diff(c[1], c[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
