package githubsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A received is one delivery as its receiver got it.
type received struct {
	header http.Header
	body   []byte
}

// A receiver takes deliveries and answers with code.
type receiver struct {
	url  string
	code int
	mu   sync.Mutex
	got  []received // mu
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{code: http.StatusAccepted}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, received{req.Header, body})
		w.WriteHeader(r.code)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) answer(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code = code
}

// of gives the deliveries of an event and action; any action for "".
func (r *receiver) of(event, action string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []received
	for _, d := range r.got {
		var p struct{ Action string }
		_ = json.Unmarshal(d.body, &p)
		if d.header.Get("X-GitHub-Event") == event && (action == "" || p.Action == action) {
			out = append(out, d)
		}
	}
	return out
}

// settled waits for all deliveries.
func (w *world) settled() {
	w.t.Helper()
	if err := w.WaitDelivered(within(w.t, 10*time.Second)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) webhook(r *receiver) int64 { w.t.Helper(); return w.webhookOf("acme/web", r) }

func (w *world) webhookOf(repository string, r *receiver) int64 {
	w.t.Helper()
	n, err := w.AddWebhook(githubsim.Webhook{Repository: repository, URL: r.url, Secret: secret.New("s3cret"), Events: []string{"*"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestDeliveriesLookLikeGitHubs(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t)
	hookID := w.webhook(r)
	w.push(one)
	w.push("on: push\njobs: {d: {runs-on: linux, environment: production, steps: [{run: 'true'}]}}")
	w.runNext("failed", nil, "linux", "x64")
	w.settled()
	for _, c := range []struct{ event, action, file string }{
		{"workflow_job", "queued", "workflow_job-queued-6.json"},
		{"workflow_job", "waiting", "workflow_job-waiting-8.json"},
		{"workflow_job", "in_progress", "workflow_job-in_progress-5.json"},
		{"workflow_job", "completed", "workflow_job-completed-2.json"},
		{"workflow_run", "completed", "workflow_run-completed-2.json"},
		{"push", "", "push-2.json"},
	} {
		got := r.of(c.event, c.action)
		if len(got) == 0 {
			t.Errorf("no %s %s", c.event, c.action)
			continue
		}
		d := got[0]
		if want := hook.Sign("s3cret", d.body); d.header.Get("X-Hub-Signature-256") != want {
			t.Errorf("%s: signature %q, want %q", c.event, d.header.Get("X-Hub-Signature-256"), want)
		}
		for name, want := range map[string]string{
			"X-GitHub-Hook-ID": id(hookID), "X-GitHub-Hook-Installation-Target-Type": "repository", "Content-Type": "application/json",
		} {
			if d.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", c.event, name, d.header.Get(name), want)
			}
		}
		if len(d.header.Get("X-GitHub-Delivery")) != 36 || !strings.HasPrefix(d.header.Get("User-Agent"), "GitHub-Hookshot/") {
			t.Errorf("%s: headers are %v", c.event, d.header)
		}
		real, err := os.ReadFile(filepath.Join("../../../testdata/webhooks/github", c.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range missing(t, real, d.body) {
			t.Errorf("%s %s: GitHub's example has %s", c.event, c.action, path)
		}
	}
}

// missing lists the members of real's objects that ours has not. Members of the
// example that depend on the sender's installation are left out.
func missing(t *testing.T, real, ours []byte) []string {
	t.Helper()
	var want, got map[string]any
	for data, into := range map[*[]byte]*map[string]any{&real: &want, &ours: &got} {
		if err := json.Unmarshal(*data, into); err != nil {
			t.Fatal(err)
		}
	}
	delete(want, "installation")
	return absent("", want, got)
}

func absent(path string, want, got any) []string {
	var out []string
	switch want := want.(type) {
	case map[string]any:
		object, isObject := got.(map[string]any)
		if !isObject {
			return []string{path}
		}
		for k, v := range want {
			if v == nil || k == "username" { // of who has an account
				continue
			}
			if _, there := object[k]; !there {
				out = append(out, path+"."+k)
				continue
			}
			if v != nil && object[k] != nil {
				out = append(out, absent(path+"."+k, v, object[k])...)
			}
		}
	case []any:
		list, isList := got.([]any)
		if isList && len(list) > 0 && len(want) > 0 {
			return absent(path+"[0]", want[0], list[0])
		}
	}
	return out
}

func TestDeliveriesByAPI(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t)
	r.answer(http.StatusInternalServerError)
	created := w.api(http.StatusCreated, "POST", "/repos/acme/web/hooks", map[string]any{
		"name": "web", "events": []string{"workflow_job"}, "config": map[string]any{"url": r.url, "content_type": "json", "secret": "x"},
	})
	if created.body["config"].(map[string]any)["secret"] != "********" {
		t.Errorf("the secret is shown: %s", created.text)
	}
	path := fmt.Sprintf("/repos/acme/web/hooks/%.0f", created.body["id"])
	w.push(one)
	w.settled()
	list := w.api(http.StatusOK, "GET", path+"/deliveries?status=failure", nil).list
	if len(list) != 2 { // ping and queued
		t.Fatalf("deliveries: %v", list)
	}
	failed := list[0].(map[string]any)
	if failed["event"] != "workflow_job" || failed["action"] != "queued" || failed["status_code"] != 500.0 {
		t.Errorf("delivery is %v", failed)
	}
	one := fmt.Sprintf("%s/deliveries/%.0f", path, failed["id"])
	full := w.api(http.StatusOK, "GET", one, nil)
	if full.body["request"].(map[string]any)["payload"].(map[string]any)["action"] != "queued" {
		t.Errorf("delivery is %s", full.text)
	}
	if got := w.api(http.StatusOK, "GET", path, nil).body["last_response"].(map[string]any)["code"]; got != 500.0 {
		t.Errorf("last response is %v", got)
	}

	r.answer(http.StatusOK)
	w.api(http.StatusAccepted, "POST", one+"/attempts", nil)
	w.settled()
	again := w.api(http.StatusOK, "GET", path+"/deliveries?status=success", nil).list[0].(map[string]any)
	if again["guid"] != failed["guid"] || again["id"] == failed["id"] || again["redelivery"] != true {
		t.Errorf("redelivery is %v of %v", again, failed)
	}
	got := r.of("workflow_job", "queued")
	if len(got) != 2 || !bytes.Equal(got[0].body, got[1].body) {
		t.Errorf("%d requests, want two of the same bytes", len(got))
	}
	w.api(http.StatusNotFound, "POST", path+"/deliveries/1/attempts", nil)
	w.api(http.StatusNoContent, "DELETE", path, nil)
	w.api(http.StatusNotFound, "GET", path, nil)
}

func TestHookCalls(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t)
	body := map[string]any{"name": "web", "events": []string{"push"}, "config": map[string]any{"url": r.url, "content_type": "json"}}
	for _, base := range []string{"/repos/acme/web/hooks", "/orgs/acme/hooks"} {
		n := w.api(http.StatusCreated, "POST", base, body).body["id"]
		w.api(http.StatusUnprocessableEntity, "POST", base, body) // it exists
		one := fmt.Sprintf("%s/%.0f", base, n)
		changed := w.api(http.StatusOK, "PATCH", one, map[string]any{"events": []string{"push", "workflow_job"}, "active": false})
		if changed.body["active"] != false || len(changed.body["events"].([]any)) != 2 {
			t.Errorf("changed hook is %s", changed.text)
		}
		w.api(http.StatusOK, "PATCH", one+"/config", map[string]any{"secret": "new"})
		w.api(http.StatusOK, "GET", one+"/config", nil)
		w.api(http.StatusNoContent, "POST", one+"/pings", nil)
		if got := len(w.api(http.StatusOK, "GET", base, nil).list); got != 1 {
			t.Errorf("%d hooks", got)
		}
	}
	w.settled()
	if got := len(r.of("ping", "")); got != 4 {
		t.Errorf("%d pings, want 4", got)
	}
}

func TestDeliveriesArePagedByCursor(t *testing.T) {
	w := newWorld(t)
	hookID := w.webhook(newReceiver(t))
	for range 10 {
		w.push(one) // push, requested, queued
	}
	w.settled()
	path := fmt.Sprintf("/repos/acme/web/hooks/%d/deliveries?per_page=7", hookID)
	seen := map[any]bool{}
	for path != "" {
		a := w.api(http.StatusOK, "GET", path, nil)
		for _, d := range a.list {
			seen[d.(map[string]any)["id"]] = true
		}
		link := a.header.Get("Link")
		path = ""
		if before, isNext := strings.CutSuffix(link, `>; rel="next"`); isNext {
			path = strings.TrimPrefix(before, "<"+w.url+"/api/v3")
		}
	}
	if len(seen) != 30 {
		t.Errorf("saw %d deliveries, want 30", len(seen))
	}
}

func TestAppHook(t *testing.T) {
	r := newReceiver(t)
	w := newWorld(t, func(c *githubsim.Config) { c.App.Hook, c.App.Secret = r.url, secret.New("app") })
	w.push(one)
	w.settled()
	d := r.of("workflow_job", "queued")
	if len(d) != 1 || d[0].header.Get("X-GitHub-Hook-Installation-Target-Type") != "integration" {
		t.Fatalf("deliveries: %v", d)
	}
	var p struct{ Installation struct{ ID int64 } }
	if err := json.Unmarshal(d[0].body, &p); err != nil || p.Installation.ID == 0 {
		t.Errorf("payload names no installation: %v", err)
	}
	app := "Bearer " + w.goodJWT()
	if got := w.call(app, "PATCH", "/api/v3/app/hook/config", map[string]any{"url": r.url + "/new"}); got.code != http.StatusOK {
		t.Errorf("config: %d %s", got.code, got.text)
	}
	list := w.call(app, "GET", "/api/v3/app/hook/deliveries", nil).list
	if len(list) == 0 {
		t.Fatal("no deliveries")
	}
	path := fmt.Sprintf("/api/v3/app/hook/deliveries/%.0f", list[0].(map[string]any)["id"])
	if got := w.call(app, "GET", path, nil).code; got != http.StatusOK {
		t.Errorf("delivery: %d", got)
	}
	if got := w.call(app, "POST", path+"/attempts", nil).code; got != http.StatusAccepted {
		t.Errorf("attempt: %d", got)
	}
	w.settled() // the attempt must not outlive the receiver
}
