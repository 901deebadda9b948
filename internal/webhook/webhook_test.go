package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// sendRaw writes a whole request to a connection of its own, byte for byte.
func sendRaw(t *testing.T, addr string, request []byte) said {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return read(t, resp, err)
}

func TestRealDeliveriesOfGitea(t *testing.T) {
	h, b := newHandler(t, nil)
	addr := serve(t, h)
	captures := files(t, "gitea/*.http")
	for name, capture := range captures {
		header, body, _ := bytes.Cut(capture, []byte("\r\n\r\n"))
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(capture)))
		if err != nil {
			t.Fatal(name, err)
		}
		forged := bytes.Clone(capture)
		forged[len(header)+4+len(body)/2] ^= 1
		if got := sendRaw(t, addr, forged); got.Status != http.StatusUnauthorized {
			t.Errorf("%s with one byte changed: %+v, want 401", name, got)
		}
		if got := sendRaw(t, addr, capture); got.Status != http.StatusAccepted || strings.Contains(name, "workflow_job") != (got.Pool != "") {
			t.Errorf("%s: %+v, want 202, and a pool for a job", name, got)
		}
		if got := sendRaw(t, addr, capture); got.Status != http.StatusOK || got.Note == "" {
			t.Errorf("%s again: %+v, want 200 and a note", name, got)
		}
		e, ok := b.get(request.Header.Get("X-GitHub-Delivery"))
		if !ok || e.DetailType != request.Header.Get("X-GitHub-Event") {
			t.Errorf("%s: kept %+v", name, e)
		}
	}
	n := int64(len(captures))
	got := h.Counts()
	if got.Received != 3*n || got.Accepted != n || got.Duplicate != n || got.Refused["signature"] != n || len(b.kept) != int(n) {
		t.Errorf("counts %+v of %d captures, %d kept", got, n, len(b.kept))
	}
}

func TestExamplesOfGitHub(t *testing.T) {
	h, b := newHandler(t, nil)
	addr := serve(t, h)
	for file, body := range files(t, "github/*.json") {
		name, _, _ := strings.Cut(file, "-")
		id := strings.TrimSuffix(file, ".json")
		got := do(t, delivery(addr, name, id, body))
		e, kept := b.get(id)
		switch name {
		case "workflow_job", "workflow_run", "ping":
			if got.Status != http.StatusAccepted || got.Event != id || !kept {
				t.Errorf("%s: %+v, kept %v, want 202 and kept", file, got, kept)
			}
			if err := e.Validate(); err != nil {
				t.Error(file, err)
			}
		default:
			if got.Status != http.StatusOK || got.Note == "" || kept {
				t.Errorf("%s: %+v, kept %v, want 200, a note and nothing kept", file, got, kept)
			}
		}
	}
	for file, body := range files(t, "github/*.json") { // all of them, after their buffers have been used again
		if e, kept := b.get(strings.TrimSuffix(file, ".json")); kept && !bytes.HasPrefix(e.Detail, bytes.TrimRight(body, " }\r\n")) {
			t.Errorf("%s: payload was changed", file)
		}
	}
}

func TestJobIsRouted(t *testing.T) {
	body := []byte(`{"action":"queued","workflow_job":{"id":7,"labels":["Linux","small"]},"repository":{"full_name":"acme/web"}}`)
	h, b := newHandler(t, nil)
	got := do(t, delivery(serve(t, h), "workflow_job", "d-1", body))
	if diff := cmp.Diff(said{Status: 202, Event: "d-1", Pool: "small"}, got); diff != "" {
		t.Error(diff)
	}
	e, _ := b.get("d-1")
	want := event.Event{
		ID: "d-1", Source: "github.com", DetailType: "workflow_job", Resources: []string{"acme/web"},
		Time:   time.Date(2026, 1, 31, 12, 0, 0, 123e6, time.UTC),
		Detail: append(body[:len(body)-1:len(body)-1], `,"mayfly":{"pool":"small","labels":"Linux,small","delivery":"d-1","job":"acme/web/7/0"}}`...),
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestJobThatFitsNoPoolIsKept(t *testing.T) {
	body := []byte(`{"action":"queued","workflow_job":{"id":7,"labels":["arm64"]},"repository":{"full_name":"acme/web"}}`)
	h, b := newHandler(t, nil)
	got := do(t, delivery(serve(t, h), "workflow_job", "d-1", body))
	want := said{Status: 202, Event: "d-1", Note: "no pool takes label arm64: the nearest is small, with labels self-hosted, linux, small, m"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, kept := b.get("d-1"); !kept {
		t.Error("it was dropped")
	}
}

func TestRefusals(t *testing.T) {
	job := sample(t, "workflow_job-queued-6.json")
	const limit = 1 << 20
	for _, c := range []struct {
		name   string
		body   []byte
		edit   func(*http.Request)
		status int
		error  string
	}{
		{"no signature", job, func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, "X-Hub-Signature-256 is missing"},
		{"SHA-1 only", job, func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1=d03207e4b030cf234e3447bac4d93add4c6643d8")
		}, 401, "X-Hub-Signature-256 is missing"},
		{"SHA-1 in the place of SHA-256", job, func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha1=d03207e4b030cf234e3447bac4d93add4c6643d8")
		}, 401, "X-Hub-Signature-256 is missing"},
		{"short signature", job, func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=00") }, 401, "64 hex digits"},
		{"empty signature", job, func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=") }, 401, "64 hex digits"},
		{"signature that is no hex", job, func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("x", 64))
		}, 401, "64 hex digits"},
		{"other secret", job, func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("guess", job)) }, 401, "was not signed"},
		{"GET", nil, func(r *http.Request) { r.Method = "GET" }, 405, "GET"},
		{"form", job, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, "x-www-form-urlencoded"},
		{"no content type", job, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "application/json"},
		{"no event", job, func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, 400, "X-GitHub-Event"},
		{"no delivery", job, func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, 400, "X-GitHub-Delivery"},
		{"odd delivery", job, func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", "../../etc/passwd") }, 400, "../../etc/passwd"},
		{"long delivery", job, func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", strings.Repeat("a", 81)) }, 400, "want a GUID"},
		{"cut JSON", job[:len(job)-9], nil, 400, "unexpected end of JSON"},
		{"no JSON", []byte("payload=%7B%7D"), nil, 400, "invalid character"},
		{"empty body", nil, nil, 400, "unexpected end of JSON"},
		{"null", []byte("null"), nil, 400, "action is missing"},
		{"list", []byte("[]"), nil, 400, "cannot unmarshal array"},
		{"null of another event", []byte(" null"), func(r *http.Request) { r.Header.Set("X-GitHub-Event", "ping") }, 400, "want a JSON object"},
		{"job without id", []byte(`{"action":"queued","workflow_job":{},"repository":{"full_name":"a/b"}}`), nil, 400, "workflow_job.id"},
		{"job without repository", []byte(`{"action":"queued","workflow_job":{"id":1}}`), nil, 400, "full_name"},
		{"too large", bytes.Repeat([]byte(" "), limit+1), nil, 413, "1048576"},
		{"too large, of unknown length", bytes.Repeat([]byte(" "), limit+1), func(r *http.Request) { r.ContentLength = -1 }, 413, "1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, b := newHandler(t, func(c *webhook.Config) { c.MaxBody = limit })
			r := delivery(serve(t, h), "workflow_job", "d-1", c.body)
			if c.edit != nil {
				c.edit(r)
			}
			got := do(t, r)
			if got.Status != c.status || !strings.Contains(got.Error, c.error) {
				t.Errorf("%+v, want status %d and an error with %q", got, c.status, c.error)
			}
			if len(b.kept) != 0 {
				t.Error("it was kept")
			}
			if secret := sign(key, c.body)[7:]; strings.Contains(fmt.Sprint(got), secret) {
				t.Error("the answer tells the right signature")
			}
		})
	}
}

func TestLargestBody(t *testing.T) {
	body := []byte(`{"zen":"` + strings.Repeat("z", 1<<20-10) + `"}`)
	h, _ := newHandler(t, func(c *webhook.Config) { c.MaxBody = 1 << 20 })
	if got := do(t, delivery(serve(t, h), "ping", "d-1", body)); got.Status != http.StatusAccepted {
		t.Errorf("%d bytes: %+v, want 202", len(body), got)
	}
}

func TestVectorOfGitHub(t *testing.T) {
	h, _ := newHandler(t, nil)
	r := delivery(serve(t, h), "ping", "d-1", []byte("Hello, World!"))
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if got := do(t, r); got.Status != http.StatusBadRequest {
		t.Errorf("%+v, want 400: a good signature of what is no JSON", got)
	}
}

func TestSecretsRotate(t *testing.T) {
	h, _ := newHandler(t, func(c *webhook.Config) { c.Secrets = []secret.Secret{secret.New("new"), secret.New("old")} })
	addr := serve(t, h)
	for i, c := range []struct {
		key    string
		status int
	}{{"new", 202}, {"old", 202}, {"older", 401}} {
		body := []byte("{}")
		r := delivery(addr, "ping", fmt.Sprint("d-", i), body)
		r.Header.Set("X-Hub-Signature-256", sign(c.key, body))
		if got := do(t, r); got.Status != c.status {
			t.Errorf("signed with %s: %+v, want %d", c.key, got, c.status)
		}
	}
}

func TestNothingIsAcknowledgedThatWasNotKept(t *testing.T) {
	for _, c := range []struct {
		err    error
		reason string
	}{
		{fmt.Errorf("writing event: %w", errFull), "disk full"},
		{errors.New("disk /dev/sda is on fire"), "not kept"},
	} {
		h, b := newHandler(t, nil)
		addr := serve(t, h)
		b.err = c.err
		resp, err := http.DefaultClient.Do(delivery(addr, "ping", "d-1", []byte("{}")))
		if err == nil && resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		got := read(t, resp, err)
		want := said{Status: 503, Error: "the delivery could not be kept: " + c.reason}
		if got.Hint == "" {
			t.Error("no hint")
		}
		if got.Hint = ""; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		b.mu.Lock()
		b.err = nil
		b.mu.Unlock()
		if got := do(t, delivery(addr, "ping", "d-1", []byte("{}"))); got.Status != http.StatusAccepted {
			t.Errorf("redelivered: %+v, want 202", got)
		}
		if got := h.Counts(); got.Refused[c.reason] != 1 || got.Accepted != 1 {
			t.Errorf("counts: %+v", got)
		}
	}
}

// TestRenew has secrets that are replaced while the handler lives.
func TestRenew(t *testing.T) {
	asked := 0
	h, b := newHandler(t, func(c *webhook.Config) {
		c.Secrets = []secret.Secret{secret.New("of yesterday")}
		c.Renew = func(context.Context) []secret.Secret {
			asked++
			return []secret.Secret{secret.New(key)}
		}
	})
	addr := serve(t, h)
	if got := do(t, delivery(addr, "ping", "d-1", []byte("{}"))); got.Status != http.StatusAccepted || asked != 1 {
		t.Errorf("signed with a new secret: %+v, asked %d times", got, asked)
	}
	forged := delivery(addr, "ping", "d-2", []byte("{}"))
	forged.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	if got := do(t, forged); got.Status != http.StatusUnauthorized || asked != 2 || len(b.kept) != 1 {
		t.Errorf("signed with none: %+v, asked %d times, %d kept", got, asked, len(b.kept))
	}
}

func TestNewRefuses(t *testing.T) {
	for name, secrets := range map[string][]secret.Secret{
		"no secret": nil, "an empty one": {secret.New("good"), secret.New("")}, "a zero one": {{}},
	} {
		if _, err := webhook.New(webhook.Config{Secrets: secrets}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestLog: what goes wrong is seen, at most once a minute, and nothing secret is.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h, _ := newHandler(t, func(c *webhook.Config) {
			c.Now = time.Now
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		lines := func() int { return strings.Count(log.String(), "\n") }
		body := []byte("{}")
		bad := func() {
			r := delivery("mayfly.example.com", "ping", "d-1", body)
			r.Header.Set("X-Hub-Signature-256", sign("guess", body))
			h.ServeHTTP(&discard{}, r)
		}
		for range 100 {
			bad()
		}
		if lines() != 1 {
			t.Errorf("%d lines for 100 refusals, want 1:\n%s", lines(), &log)
		}
		time.Sleep(time.Minute)
		bad()
		if lines() != 2 || !strings.Contains(log.String(), "so_far=101") {
			t.Errorf("a minute later:\n%s", &log)
		}
		h.ServeHTTP(&discard{}, delivery("mayfly.example.com", "ping", "d-1", body))
		if lines() != 2 {
			t.Errorf("a good delivery was logged:\n%s", &log)
		}
		for _, leak := range []string{key, sign(key, body)[7:]} {
			if strings.Contains(log.String(), leak) {
				t.Errorf("the log has %q", leak)
			}
		}
	})
}
