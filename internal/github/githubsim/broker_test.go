package githubsim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestAccessTokenIsAJWT reads the token as GitHub's runner does, which ends when it cannot.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/Jwt/JsonWebToken.cs
func TestAccessTokenIsAJWT(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	j := w.begin("linux", "x64")
	parts := strings.Split(j.access(), ".")
	if len(parts) != 3 {
		t.Fatalf("access token %q has %d parts, want 3", j.access(), len(parts))
	}
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatalf("part %d: %v", i+1, err)
		}
	}
	if diff := cmp.Diff(map[string]any{"typ": "JWT", "alg": "RS256"}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	plan, jobID := j.at("plan", "planId").(string), j.at("jobId").(string)
	if claims["orch_id"] != plan+".build.__default" || claims["orch_id"] != j.variable("system.orchestrationId") || plan == jobID {
		t.Errorf("orch_id is %v of plan %s, job %s", claims["orch_id"], plan, jobID)
	}
	if claims["scp"] != "Actions.Results:"+plan+":"+jobID || claims["jti"] == "" {
		t.Errorf("claims are %v", claims)
	}
	if exp, _ := claims["exp"].(float64); time.Unix(int64(exp), 0).Sub(w.clock.Now()) != 6*time.Hour+10*time.Minute {
		t.Errorf("exp is %v", exp)
	}
	if got := w.call("Bearer "+j.variable("github_token"), "POST", j.offer.URL+"/renewjob", map[string]any{"jobId": jobID}).code; got != http.StatusUnauthorized {
		t.Errorf("GITHUB_TOKEN at the run service: %d, want 401", got)
	}
	if got := w.call("Bearer "+j.access(), "POST", j.offer.URL+"/renewjob", map[string]any{"planId": plan, "jobId": jobID}).code; got != http.StatusOK {
		t.Errorf("renewing with the access token: %d, want 200", got)
	}
	w.clock.advance(7 * time.Hour)
	if got := w.call("Bearer "+j.access(), "POST", j.offer.URL+"/renewjob", map[string]any{"planId": plan, "jobId": jobID}).code; got != http.StatusUnauthorized {
		t.Errorf("an expired access token: %d, want 401", got)
	}
}

// stateless matches installation tokens as they are since 2026.
var stateless = regexp.MustCompile(`^ghs_\d+_[\w-]+\.[\w-]+\.[\w-]+$`)

func TestInstallationTokens(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	app := "Bearer " + appJWT(t, jwt.SigningMethodRS256, appKey(), jwt.MapClaims{
		"iss": appID, "iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Minute).Unix(),
	})
	installation := w.call(app, "GET", "/api/v3/repos/acme/web/installation", nil).body["access_tokens_url"].(string)
	token := func(header string) string {
		req, err := http.NewRequest("POST", installation, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", app)
		req.Header.Set("X-GitHub-Stateless-S2S-Token", header)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body struct{ Token string }
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return body.Token
	}
	for header, isStateless := range map[string]bool{"": true, "enabled": true, "true": true, "disabled": false} {
		got := token(header)
		if stateless.MatchString(got) != isStateless || isStateless != (len(got) > 450) || !isStateless && len(got) != 40 {
			t.Errorf("with %q the token is %q, of %d characters", header, got, len(got))
		}
		if code := w.call("Bearer "+got, "GET", "/api/v3/repos/acme/web/actions/runners", nil).code; code != http.StatusOK {
			t.Errorf("with %q the token gets %d", header, code)
		}
	}
	if got := w.begin("linux", "x64").variable("github_token"); !strings.HasPrefix(got, "ghs_15368_") || !stateless.MatchString(got) {
		t.Errorf("GITHUB_TOKEN is %q", got)
	}
}

func TestAcknowledge(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	lazy := w.jitRunner("lazy", "linux", "x64").connect()
	o := lazy.offered()
	acknowledge := func(session, id string) answer {
		return lazy.call("POST", lazy.broker+"acknowledge?sessionId="+session, map[string]string{"runnerRequestId": id})
	}
	if got := acknowledge(lazy.session, o.ID); got.code != http.StatusOK {
		t.Errorf("acknowledge: %d %s", got.code, got.text)
	}
	lazy.refused(acknowledge("x", o.ID), http.StatusUnauthorized, "RunnerSessionInvalid")
	lazy.refused(acknowledge(lazy.session, "x"), http.StatusNotFound, "AcknowledgeJobNotFound")
	w.clock.advance(61 * time.Second)
	w.Expire() // the job is another's now
	lazy.refused(acknowledge(lazy.session, o.ID), http.StatusNotFound, "AcknowledgeJobNotFound")
}

// TestRemovedRunnerHearsIt: also in the midst of its poll.
func TestRemovedRunnerHearsIt(t *testing.T) {
	w := newWorld(t, func(c *githubsim.Config) { c.Poll = time.Minute })
	r := w.jitRunner("r1", "linux").connect()
	polled := make(chan answer, 1)
	go func() { polled <- r.poll() }()
	w.api(http.StatusNoContent, "DELETE", "/repos/acme/web/actions/runners/"+id(w.Runners()[0].ID), nil)
	r.refused(<-polled, http.StatusNotFound, "RunnerNotFound")
	r.refused(r.openSession(), http.StatusNotFound, "RunnerNotFound")
	if got := r.call("DELETE", r.broker+"session", nil).code; got != http.StatusNoContent {
		t.Errorf("the end of its session: %d, want 204", got)
	}
}

// TestRunServiceErrors holds the errors about jobs against the form that the runner reads.
func TestRunServiceErrors(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	j := w.begin("linux", "x64")
	other := w.jitRunner("other", "windows").connect()
	for name, c := range map[string]struct {
		answer
		want int
	}{
		"acquired twice":        {j.runner.acquire(j.offer), http.StatusConflict},
		"acquiring another's":   {other.acquire(jobOffer{ID: "x", URL: strings.Replace(j.offer.URL, j.offer.ID, "x", 1)}), http.StatusNotFound},
		"renewing another's":    {other.call("POST", j.offer.URL+"/renewjob", map[string]any{}), http.StatusNotFound},
		"completing another's":  {other.complete(j.offer, "succeeded", nil), http.StatusNotFound},
		"completing in no way":  {j.runner.complete(j.offer, "finished", nil), http.StatusUnprocessableEntity},
		"completing as nobody":  {w.call("", "POST", j.offer.URL+"/completejob", map[string]any{}), http.StatusUnauthorized},
		"acquiring as a nobody": {w.call("", "POST", j.offer.URL+"/acquirejob", map[string]any{}), http.StatusUnauthorized},
	} {
		want := map[string]any{"source": "actions-run-service", "statusCode": float64(c.want), "errorMessage": c.body["errorMessage"]}
		if diff := cmp.Diff(want, c.body); diff != "" || c.code != c.want || c.body["errorMessage"] == "" {
			t.Errorf("%s: %d, want %d (-want +got):\n%s", name, c.code, c.want, diff)
		}
	}
}

func TestIdleJITRunnersVanish(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	registered := w.registeredRunner("registered", true, "other").connect()
	busy := w.jitRunner("busy", "linux", "x64").connect()
	busy.acquire(busy.offered())
	idle := w.jitRunner("idle", "other").connect()
	late := w.jitRunner("late", "other") // not connected: it has no session to idle in
	keep := func() { registered.poll(); idle.poll() }
	for range 119 {
		w.clock.advance(time.Second)
	}
	keep()
	w.Expire()
	if got := len(w.Runners()); got != 4 {
		t.Fatalf("%d runners before 2 minutes, want 4", got)
	}
	w.clock.advance(4*time.Minute + 2*time.Second)
	w.Expire()
	var names []string
	for _, r := range w.Runners() {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"registered", "busy", "late"}, names); diff != "" {
		t.Errorf("runners after 6 minutes (-want +got):\n%s", diff)
	}
	idle.refused(idle.poll(), http.StatusNotFound, "RunnerNotFound")
	late.connect()
}

func TestIdleLimitIsConfigured(t *testing.T) {
	for idle, want := range map[time.Duration]int{-1: 1, time.Hour: 1, 10 * time.Second: 0} {
		w := newWorld(t, func(c *githubsim.Config) { c.Idle = idle; c.Poll = time.Hour })
		w.jitRunner("r", "other").connect()
		w.clock.advance(30 * time.Minute)
		w.Expire()
		if got := len(w.Runners()); got != want {
			t.Errorf("with a limit of %v there are %d runners, want %d", idle, got, want)
		}
	}
}

// pollAs polls as a runner of that version and platform.
func (r *handRunner) pollAs(version, more string) answer {
	r.w.t.Helper()
	return r.call("GET", r.broker+"message?sessionId="+r.session+"&status=Online&runnerVersion="+version+"&os=Linux&architecture=X64"+more, nil)
}

func TestRunnersAreToldToUpdate(t *testing.T) {
	w := newWorld(t)
	r := w.jitRunner("r", "other").connect()
	w.PublishRunner(githubsim.RunnerRelease{Version: "2.340.0", Archives: map[string][]byte{"linux-x64": []byte("files")}})
	none := func(why string, a answer) {
		if a.code != http.StatusAccepted {
			t.Errorf("%s: %d %s, want 202", why, a.code, a.text)
		}
	}
	none("not asked for", r.pollAs("2.336.0", ""))
	w.call("Bearer "+pat, "PUT", "/_sim/updates", map[string]any{"enabled": true})
	none("updates nothing", r.pollAs("2.336.0", "&disableUpdate=true"))
	none("the newest", r.pollAs("2.340.0", "&disableUpdate=false"))
	none("another platform", r.call("GET", r.broker+"message?sessionId="+r.session+"&runnerVersion=2.336.0&os=Linux&architecture=ARM64", nil))
	a := r.pollAs("2.336.0", "&disableUpdate=false")
	var body map[string]string
	if text, _ := a.body["body"].(string); a.body["messageType"] != "RunnerRefresh" || json.Unmarshal([]byte(text), &body) != nil {
		t.Fatalf("answer is %d %s", a.code, a.text)
	}
	want := map[string]string{
		"target_version": "2.340.0", "os": "linux", "sha256_checksum": fmt.Sprintf("%x", sha256.Sum256([]byte("files"))),
		"download_url": w.url + "/actions/runner/releases/download/v2.340.0/actions-runner-linux-x64-2.340.0.tar.gz",
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if a := w.call("", "GET", body["download_url"], nil); a.text != "files" {
		t.Errorf("download is %d %q", a.code, a.text)
	}
	none("told already", r.pollAs("2.336.0", ""))
}

func TestVersionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	token := w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/registration-token", nil).body["token"].(string)
	for version, want := range map[string]int{"2.328.0": 403, "2.329.0": 200, "2.1000.0": 200, "2.99.9": 403, "": 403} {
		body := registerBody("r"+version, appKey(), true, "linux")
		body["version"] = version
		if got := w.call("RemoteAuth "+token, "POST", "/api/v3/actions/runners/register", body); got.code != want {
			t.Errorf("registering version %q: %d %s, want %d", version, got.code, got.text, want)
		}
	}
	r := w.jitRunner("r", "other").connect()
	w.PublishRunner(githubsim.RunnerRelease{Version: "2.337.0"})
	w.clock.advance(31 * 24 * time.Hour)
	r.connect()
	r.refused(r.pollAs("2.336.0", ""), http.StatusForbidden, "RunnerVersionTooOld")
	if got := r.pollAs("2.337.0", "").code; got != http.StatusAccepted {
		t.Errorf("the newest version gets %d, want 202", got)
	}
}
