package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// deliver posts a signed delivery to the world's mayfly and returns the pool that takes
// its job.
func (w *world) deliver(t *testing.T, name string, body []byte) string {
	t.Helper()
	var answer struct{ Pool string }
	if err := json.Unmarshal(w.post(t, name, body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Pool
}

// post posts a signed delivery, which must be accepted, and returns the answer.
func (w *world) post(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.hookURL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": name, "X-GitHub-Delivery": rand.Text(),
		"X-Hub-Signature-256": hook.Sign(w.secret, body),
	} {
		r.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("delivery answered with %s, %v: %s", resp.Status, err, answer)
	}
	return answer
}

// hangUp sends SIGHUP and waits until the log says n times in all what comes of it.
func (w *world) hangUp(t *testing.T, said string, n int) {
	t.Helper()
	if err := w.up.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.says(t, said, n)
}

// says waits until the log says something n times in all.
func (w *world) says(t *testing.T, said string, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(w.up.said(), said) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q %d times:\n%s", said, n, w.up.said())
		}
	}
}

// TestReload changes pools and rules of a running mayfly up. What a rule sends is the
// request that an endpoint gets, over a socket, signed.
func TestReload(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	type request struct{ path, body, signature string }
	requests := make(chan request, 10)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- request{r.URL.Path, string(body), r.Header.Get("X-Hub-Signature-256")}
	}))
	defer endpoint.Close()
	w := newWorld(t, worldConfig{})
	write := func(rest string) {
		t.Helper()
		if err := os.WriteFile(w.config(), []byte(w.yaml()+rest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(path string) string {
		return fmt.Sprintf(`
rules:
  - name: zen
    pattern: {detail-type: [ping]}
    target: http
    url: %s%s
    secret: file:rule.secret
    input: {paths: {zen: $.detail.zen}, template: '{"text": "<zen>"}'}
  - name: touch
    pattern: {detail-type: [ping]}
    target: command
    command: [touch, touched%s]
`, endpoint.URL, path, filepath.Base(path))
	}
	if err := os.WriteFile(filepath.Join(w.dir, "rule.secret"), []byte("key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(rule("/one"))
	w.serve(t)
	ping := func(path string) {
		t.Helper()
		w.deliver(t, "ping", []byte(`{"zen": "Half measures are as bad as nothing at all."}`))
		want := request{path: path, body: `{"text":"Half measures are as bad as nothing at all."}`}
		want.signature = hook.Sign("key", []byte(want.body))
		if got := <-requests; got != want {
			t.Errorf("the endpoint got %v, want %v", got, want)
		}
		touched := filepath.Join(w.dir, "touched"+filepath.Base(path))
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(touched); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the command of the rule has not run: no %s", touched)
			}
		}
	}
	job, err := os.ReadFile("../../testdata/webhooks/github/workflow_job-queued-6.json")
	if err != nil {
		t.Fatal(err)
	}
	var labels struct {
		Job struct{ Labels []string } `json:"workflow_job"`
	}
	if err := json.Unmarshal(job, &labels); err != nil {
		t.Fatal(err)
	}
	ping("/one")
	if pool := w.deliver(t, event.TypeWorkflowJob, job); pool != "" {
		t.Errorf("a job for nobody went to the pool %q", pool)
	}

	quoted, err := json.Marshal(labels.Job.Labels)
	if err != nil {
		t.Fatal(err)
	}
	second := fmt.Sprintf("  - {name: second, labels: %s, network: host, command: [%s]}\n", quoted, rehearsal.Minirunner)
	write(second + rule("/two"))
	w.hangUp(t, "configuration reloaded", 1)
	ping("/two")
	if pool := w.deliver(t, event.TypeWorkflowJob, job); pool != "second" {
		t.Errorf("a job for the new pool went to the pool %q", pool)
	}

	// Faulty ones change nothing: a fault in the file, a secret that is not there, a pool that cannot be.
	for i, faulty := range []string{"rulez: []\n", strings.Replace(rule("/no"), "rule.secret", "none", 1), "  - {name: own, labels: [x]}\n"} {
		write(second + faulty)
		w.hangUp(t, "configuration not reloaded", i+1)
		ping("/two")
	}
	w.up.stop(t)
}

// TestOwnRuleNames has the configuration refuse the names of mayfly's own rules.
func TestOwnRuleNames(t *testing.T) {
	for _, own := range event.OwnRules() {
		src := strings.Replace(smallConfig, "name: pings", "name: "+own, 1)
		if _, err := config.Parse("mayfly.yaml", []byte(src)); err == nil {
			t.Errorf("rule %q is taken twice", own)
		}
	}
}
