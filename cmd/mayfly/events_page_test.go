package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestEventsPage tries what docs/events.md shows: its rules, all of them in one
// configuration, with real payloads, and its commands that change something.
func TestEventsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(chan string, 10)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("X-Hub-Signature-256")[:7] + string(body)
	}))
	defer chat.Close()
	yaml := strings.Split(smallConfig, "rules:")[0] + "rules:\n"
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		yaml += strings.Replace(block[1], "https://chat.example.com/hook", chat.URL, 1)
	}
	file, state := writeConfig(t, yaml)
	dir := filepath.Dir(file)
	if err := os.WriteFile(filepath.Join(dir, "chat.secret"), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := serveStore(t, file, state, true)

	for _, conclusion := range []string{"success", "failure"} {
		job, err := os.ReadFile("../../testdata/webhooks/github/workflow_job-completed-2.json")
		if err != nil {
			t.Fatal(err)
		}
		detail := regexp.MustCompile(`"conclusion": *"[a-z]+"`).ReplaceAll(job, []byte(`"conclusion": "`+conclusion+`"`))
		e := event.Event{ID: conclusion, Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(), Detail: detail}
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	put := regexp.MustCompile("(?m)^echo .* mayfly event put -$").FindString(string(page))
	cmd := exec.Command("sh", "-c", strings.Replace(put, "mayfly event", tooltest.Binary("mayfly")+" -c "+file+" event", 1))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "published: 1") {
		t.Errorf("%s: %v\n%s", put, err, out)
	}

	if got := <-bodies; !strings.HasPrefix(got, `sha256={"text":"`) || !strings.Contains(got, ` failed","link":"https://github.com/`) {
		t.Errorf("the chat got %s", got)
	}
	lines := strings.Split(strings.TrimSpace(fileWith(t, filepath.Join(dir, "durations.jsonl"), 2)), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || line["started"] == "" || line["repository"] == "" {
		t.Errorf("durations: %v, %v", lines, err)
	}
	var order event.Event
	if err := json.Unmarshal([]byte(fileWith(t, filepath.Join(dir, "large-order.json"), 0)), &order); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff("order-17", order.ID); diff != "" {
		t.Error(diff)
	}
	if len(bodies) > 0 {
		t.Errorf("the chat was told of a job that passed: %s", <-bodies)
	}
}

// fileWith reads a file once it is there, whole, with so many lines.
func fileWith(t *testing.T, path string, lines int) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && len(text) > 0 && strings.Count(string(text), "\n") >= lines && strings.HasSuffix(strings.TrimSpace(string(text)), "}") {
			return string(text)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %q, %v; want %d lines", path, text, err, lines)
		}
	}
}
