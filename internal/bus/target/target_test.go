package target_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/target"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

func ping() event.Event {
	return event.Event{
		ID: "e1", Source: event.SourceGitHub, DetailType: "ping", Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Detail: []byte(`{"zen":"Design for failure."}`),
	}
}

func transformer(t *testing.T, template string) *transform.Transformer {
	t.Helper()
	tr, err := transform.Parse(map[string]string{"zen": "$.detail.zen"}, template)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// fate says what the bus does after err: "done", "dead", or how long it waits at least.
func fate(t *testing.T, err error) string {
	t.Helper()
	dir := t.TempDir()
	var got string
	synctest.Test(t, func(t *testing.T) {
		db, openErr := disk.Open(filepath.Join(dir, "db"), disk.Options{})
		if openErr != nil {
			t.Fatal(openErr)
		}
		defer db.Close()
		p, parseErr := pattern.Parse([]byte(`{"source": ["github.com"]}`))
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		b, openErr := bus.Open(t.Context(), db, bus.Config{
			Rules: []bus.Rule{{Name: "r", Pattern: p, Target: "t"}}, Log: slog.New(slog.DiscardHandler),
			Targets: map[string]bus.Target{"t": func(context.Context, event.Event) error { return err }},
			Rand:    func() float64 { return 0 },
		})
		if openErr != nil {
			t.Fatal(openErr)
		}
		if _, publishErr := b.Publish(t.Context(), ping()); publishErr != nil {
			t.Fatal(publishErr)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { b.Run(ctx); close(ended) }()
		synctest.Wait()
		var due int64
		switch readErr := db.QueryRow(t.Context(), `SELECT coalesce(max(due), 0) FROM deliveries`).Scan(&due); {
		case readErr != nil:
			t.Fatal(readErr)
		case due > 0:
			got = time.Until(time.UnixMilli(due)).String()
		case b.Counters.Dead.Load() == 1:
			got = "dead"
		default:
			got = "done"
		}
		stop()
		<-ended
	})
	return got
}

func TestHTTPRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		secret secret.Secret
		tr     *transform.Transformer
		want   string
	}{
		{"envelope", secret.New("key"), nil, string(must(ping().AppendEnvelope(nil)))},
		{"transformed", secret.New("key"), transformer(t, `{"text": "<zen> (<aws.events.rule-name>)"}`), `{"text":"Design for failure. (zen)"}`},
		{"unsigned", secret.Secret{}, transformer(t, `<zen>`), `"Design for failure."`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var body []byte
			var header http.Header
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				header = r.Header
				body, _ = io.ReadAll(r.Body)
			}))
			defer server.Close()
			send := target.HTTP(target.HTTPConfig{
				Input: target.Input{Rule: "zen", Transformer: test.tr}, URL: server.URL, Secret: test.secret, Timeout: time.Minute,
			})
			if err := send(t.Context(), ping()); err != nil {
				t.Fatal(err)
			}
			if string(body) != test.want {
				t.Errorf("body %s, want %s", body, test.want)
			}
			signature := ""
			if !test.secret.IsZero() {
				mac := hmac.New(sha256.New, []byte("key"))
				mac.Write(body)
				signature = "sha256=" + hex.EncodeToString(mac.Sum(nil))
			}
			for name, want := range map[string]string{
				"X-Hub-Signature-256": signature, "X-Mayfly-Event": "e1", "X-Mayfly-Rule": "zen", "Content-Type": "application/json",
			} {
				if got := header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestHTTPAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		"200": "done", "202": "done", "204": "done",
		"301": "dead", "304": "dead", "400": "dead", "401": "dead", "404": "dead", "410": "dead", "422": "dead",
		"408": "1s", "429": "1s", "500": "1s", "503": "1s",
		"503 30": "30s", "429 0": "1s", "429 x": "1s", "503 -5": "1s", "503 99999999": "1h0m0s",
		"200 30": "done", "404 30": "dead",
		"503 Sat, 01 Jan 2000 00:00:00 GMT": "1s",
	} {
		t.Run(answer, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				status, after, _ := strings.Cut(answer, " ")
				code, _ := strconv.Atoi(status)
				w.Header().Set("Location", "http://"+r.Host+"/other")
				if after != "" {
					w.Header().Set("Retry-After", after)
				}
				w.WriteHeader(code)
				if code != 204 && code != 304 {
					fmt.Fprint(w, "because", strings.Repeat("!", 1<<20))
				}
			}))
			defer server.Close()
			err := target.HTTP(target.HTTPConfig{URL: server.URL, Timeout: time.Minute})(t.Context(), ping())
			if got := fate(t, err); got != want {
				t.Errorf("%v: %s, want %s", err, got, want)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestHTTPUnreachable(t *testing.T) {
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer server.Close()
	defer close(hung)
	for name, c := range map[string]target.HTTPConfig{
		"slow":    {URL: server.URL, Timeout: time.Millisecond},
		"nowhere": {URL: "http://127.0.0.1:1/", Timeout: time.Minute},
	} {
		err := target.HTTP(c)(t.Context(), ping())
		if got := fate(t, err); got != "1s" {
			t.Errorf("%s: %v: %s, want 1s", name, err, got)
		}
	}
	for name, c := range map[string]target.HTTPConfig{
		"address":   {URL: "http://%", Timeout: time.Minute},
		"transform": {URL: server.URL, Timeout: time.Minute, Input: target.Input{Transformer: transformer(t, `"<zen>"`)}},
	} {
		e := ping()
		e.Detail = []byte(`{"zen":"\""}`)
		if got := fate(t, target.HTTP(c)(t.Context(), e)); got != "dead" {
			t.Errorf("%s: %s, want dead", name, got)
		}
	}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MAYFLY_SECRET", "of mayfly")
	run := func(timeout time.Duration, script string) error {
		return target.Command(target.CommandConfig{
			Input: target.Input{Rule: "zen"}, Command: []string{"sh", "-c", script}, Dir: dir, Timeout: timeout,
		})(t.Context(), ping())
	}
	if err := run(time.Minute, `cat > event; env | cut -d= -f1 | sort | tr '\n' ' ' > names; echo "$MAYFLY_EVENT $MAYFLY_RULE" > values`); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"names": "MAYFLY_EVENT MAYFLY_RULE PATH PWD ", "values": "e1 zen\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", file, got, err, want)
		}
	}
	var e event.Event
	if text, err := os.ReadFile(filepath.Join(dir, "event")); err != nil || json.Unmarshal(text, &e) != nil || e.ID != "e1" || text[len(text)-1] != '\n' {
		t.Errorf("event on standard input: %s, %v", text, err)
	}
	for script, want := range map[string]string{
		"exit 0": "done", "exit 1": "1s", "exit 65": "dead", "kill -9 $$": "1s", "exec nosuchprogram": "1s",
		"exec <&-; exit 0": "done", // who does not read is not to blame
	} {
		if got := fate(t, run(time.Minute, script)); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	if err := run(time.Minute, `echo one two >&2; exit 3`); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), `"one two"`) {
		t.Errorf("error %v; want the exit status and what it said", err)
	}
	if err := run(time.Minute, `yes | head -c 1000000 >&2; exit 1`); err == nil || len(err.Error()) > 3*1000+200 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// TestCommandTime ends a command, and what it started, when its time is over.
func TestCommandTime(t *testing.T) {
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	err = target.Command(target.CommandConfig{
		Command: []string{"sh", "-c", fmt.Sprintf("exec 9>/proc/%d/fd/%d; sleep 1000 & sleep 1000", os.Getpid(), other.Fd())}, Timeout: 200 * time.Millisecond,
	})(t.Context(), ping())
	other.Close()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want that its time was over", err)
	}
	if _, err := io.ReadAll(pipe); err != nil { // ends once nobody can write
		t.Error(err)
	}
}
