package github_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const jitRoute = "POST /repos/acme/web/actions/runners/generate-jitconfig"

// TestRegisteringFails is the table of what GitHub, and the network, answer to
// the one POST that starts a job. However it fails, it is made once.
func TestRegisteringFails(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(502)
		io.WriteString(w, `{"message":`)
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   error
		lost   bool
		say    string // in the error or its hint
	}{
		{"name taken", refuse(409, "Already exists"), github.ErrConflict, false, "Already exists"},
		{"not there", refuse(404, "Not Found"), github.ErrNotFound, false, `"Administration" (read and write)`},
		{"group not open", refuse(404, "Not Found"), github.ErrNotFound, false, "runner group 7"},
		{"not accepted", refuse(422, "Validation Failed"), github.ErrUnprocessable, false, "Validation Failed"},
		{"no credential", refuse(401, "Bad credentials"), github.ErrUnauthorized, false, "clock"},
		{"no permission", refuse(403, "Resource not accessible by integration"), github.ErrForbidden, false, `"Administration"`},
		{"server error", refuse(500, "boom"), github.ErrUnavailable, true, "it may have had its effect"},
		{"bad gateway", refuse(502, "boom"), github.ErrUnavailable, true, "it may have had its effect"},
		{"half an error", half, github.ErrUnavailable, true, "Bad Gateway"},
		{"cut connection", cut, github.ErrUnavailable, true, "EOF"},
		{"no answer", hang, github.ErrUnavailable, true, "no answer in 200ms"},
		{"moved", refuse(301, "Moved Permanently", "Location", "http://example.com/elsewhere"), github.ErrNotFound, false, "has a new name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, map[string]http.HandlerFunc{jitRoute: tt.answer})
			c := s.client(t, func(c *github.Config) { c.Timeout = 200 * time.Millisecond })
			j := jitRequest(1)
			j.Group = "7"
			_, err := c.Register(t.Context(), scope(t, "acme/web"), j)
			var e *github.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &e) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if errors.Is(err, github.ErrLost) != tt.lost {
				t.Errorf("%v: lost is %v, want %v", err, e.Lost, tt.lost)
			}
			if all := err.Error() + "\n" + e.Hint(); !strings.Contains(all, tt.say) || !strings.Contains(all, `registering runner "r1" at acme/web`) {
				t.Errorf("%s\nwant it to say %s", all, tt.say)
			}
			if calls := s.seen(); len(calls) != 1 {
				t.Errorf("calls %q, want 1", calls)
			}
		})
	}
}

// TestRegisteringThatNeverArrives may be tried again: nothing was sent.
func TestRegisteringThatNeverArrives(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	dials := 0
	c, err := github.New(github.Config{
		URL: "http://" + l.Addr().String(), Token: secret.New(testToken), Backoff: time.Millisecond,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, addr)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1))
	if !errors.Is(err, github.ErrUnavailable) || errors.Is(err, github.ErrLost) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v, want ErrUnavailable, not lost, with what the network said", err)
	}
	if dials != 4 {
		t.Errorf("%d attempts, want 4", dials)
	}
}

// TestReadingIsTriedAgain is about calls that do no harm when made twice.
func TestReadingIsTriedAgain(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, map[string]any{"total_count": 1, "runners": []any{runnerDoc(1, "r1")}})
	}
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "9999")
		w.WriteHeader(502)
	}
	s := serve(t, map[string]http.HandlerFunc{
		"GET /orgs/acme/actions/runners":      inTurn(refuse(502, "boom"), cut, broken, page),
		"GET /orgs/other/actions/runners":     refuse(503, "boom"),
		"DELETE /orgs/acme/actions/runners/1": inTurn(cut, refuse(404, "Not Found")),
	})
	c := s.client(t)
	if all, err := c.Runners(t.Context(), scope(t, "acme")); err != nil || len(all) != 1 {
		t.Errorf("%v, %v, want one runner at the fourth attempt", all, err)
	}
	if err := c.RemoveRunner(t.Context(), scope(t, "acme"), 1); err != nil {
		t.Errorf("%v, want nil: the first attempt removed it", err)
	}
	before := len(s.seen())
	if _, err := c.Runners(t.Context(), scope(t, "other")); !errors.Is(err, github.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if n := len(s.seen()) - before; n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
}

// TestContextEndsWaiting has a back-off of an hour, which the context cuts short.
func TestContextEndsWaiting(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"GET /orgs/acme/actions/runners": refuse(502, "boom")})
	c := s.client(t, func(c *github.Config) { c.Backoff = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := c.Runners(ctx, scope(t, "acme")); !errors.Is(err, github.ErrUnavailable) {
		t.Errorf("%v, want what the only attempt said", err)
	}
	if _, err := c.Runners(ctx, scope(t, "acme")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{jitRoute: func(w http.ResponseWriter, r *http.Request) {
		reply(w, 201, map[string]any{"runner": runnerDoc(1, "r1"), "encoded_jit_config": strings.Repeat("A", 17<<20)})
	}})
	_, err := s.client(t).Register(t.Context(), scope(t, "acme/web"), jitRequest(1))
	if !errors.Is(err, github.ErrLost) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%v, want ErrLost and that it was too large", err)
	}
}

// TestRedirects has a repository with a new name, and a redirect that would
// carry the token away.
func TestRedirects(t *testing.T) {
	elsewhere := serve(t, nil)
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/old/actions/runners": refuse(301, "Moved", "Location", "/api/v3/repos/acme/web/actions/runners?per_page=100"),
		"GET /repos/acme/web/actions/runners": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+testToken {
				t.Error("the token was lost on the way")
			}
			reply(w, 200, map[string]any{"total_count": 0, "runners": []any{}})
		},
		// net/http would make a GET of it.
		"POST /repos/acme/old/actions/runners/generate-jitconfig": refuse(301, "Moved", "Location", "/api/v3/repos/acme/web/actions/runners"),
		"GET /repos/acme/bad/actions/runners":                     refuse(301, "Moved", "Location", elsewhere.URL+"/api/v3/repos/acme/web/actions/runners"),
	})
	c := s.client(t)
	if _, err := c.Runners(t.Context(), scope(t, "acme/old")); err != nil {
		t.Error(err)
	}
	if _, err := c.Runners(t.Context(), scope(t, "acme/bad")); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	before := len(s.seen())
	if _, err := c.Register(t.Context(), scope(t, "acme/old"), jitRequest(1)); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if calls := s.seen()[before:]; len(calls) != 1 {
		t.Errorf("calls %q, want the POST only", calls)
	}
	if calls := elsewhere.seen(); len(calls) > 0 {
		t.Errorf("the other host got %q", calls)
	}
}

// TestNothingSecretIsTold makes calls fail in many ways and looks through all
// errors and the whole log.
func TestNothingSecretIsTold(t *testing.T) {
	var log bytes.Buffer
	s := serve(t, map[string]http.HandlerFunc{
		jitRoute:                         inTurn(registered, refuse(403, "slow down", "Retry-After", "0"), refuse(500, "boom"), cut),
		"GET /orgs/acme/actions/runners": refuse(502, "boom"),
		"GET /repos/acme/web/hooks":      func(w http.ResponseWriter, r *http.Request) { reply(w, 200, []any{}) },
		"POST /repos/acme/web/hooks":     refuse(422, "Validation Failed"),
	})
	c := s.client(t, func(c *github.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	say := func(v any, err error) { slog.New(slog.NewTextHandler(&log, nil)).Info("told", "value", v, "err", err) }
	say(c.Runners(t.Context(), scope(t, "acme")))
	say(c.InstallWebhook(t.Context(), scope(t, "acme/web"), github.HookConfig{URL: "https://m.example/webhook", Secret: secret.New("hook-secret"), Events: []string{"workflow_job"}}))
	for range 4 {
		say(c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)))
	}
	for _, leak := range []string{testToken, "hook-secret", "c2VjcmV0LWppdA"} {
		if strings.Contains(log.String(), leak) {
			t.Errorf("%q was told in\n%s", leak, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n < 10 {
		t.Errorf("only %d lines were told, want those of each failure", n)
	}
}
