package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestPageOnAWS: mayfly page shows a stack: the stages that it has, what it holds, and where the
// output of its runners is.
func TestPageOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	e := event.Event{ID: "odd", Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(), Detail: []byte(`{"action":"queued"}`)}
	if _, err := eventbus.New(w.cloud.Config, "ci").Quarantine(t.Context(), e, "it has no job"); err != nil {
		t.Fatal(err)
	}
	page := w.servePage(t)
	for path, part := range map[string]string{
		"/": "stack ci in", "/jobs": "No job is like that.", "/pools": `id="small"`, "/runners": "No runner is there.", "/events": "Delivery Quarantined",
		"/letters": "it has no job", "/image": "Image", "/runners?all=1": "No runner is there.",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), part) {
			t.Errorf("%s: %s, %v, want %q in\n%s", path, resp.Status, err, part, text)
		}
	}
}

// servePage runs mayfly page until the test ends, and returns its address.
func (w *cloudWorld) servePage(t *testing.T) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, tooltest.Binary("mayfly"), "page", "-c", w.config())
	cmd.Env = append(append(os.Environ(), w.cloud.Env()...), "AWS_ENDPOINT_URL="+w.front.URL, "AWS_MAX_ATTEMPTS=1", "GITHUB_TOKEN="+w.token, "MAYFLY_WEBHOOK_SECRET="+w.secret)
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	line, err := bufio.NewReader(said).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "page at ")
	if err != nil || !found {
		t.Fatalf("mayfly page says %q: %v", line, err)
	}
	return address
}
