package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// canned is a server of GitHub's API with answers made for one test, for what
// githubsim does not do on request. Every request and every answer is held
// against GitHub's description.
type canned struct {
	URL string

	mu    sync.Mutex
	calls []string // "GET /repos/…", without /api/v3, in the order of arrival; under mu
}

// serve answers by routes, whose keys are patterns of http.ServeMux without
// /api/v3. Calls to anything else are a fault of the test.
func serve(t *testing.T, routes map[string]http.HandlerFunc) *canned {
	t.Helper()
	s := &canned{}
	mux := http.NewServeMux()
	for pattern, h := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v3"+path, h)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("unexpected call: %s %s", r.Method, r.URL)
		reply(w, 404, map[string]any{"message": "Not Found"})
	})
	checked := openapi.Check(t.Errorf, mux)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/api/v3"))
		s.mu.Unlock()
		checked.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// seen returns the calls so far.
func (s *canned) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// client speaks to s with the token testToken; edit may change that.
func (s *canned) client(t *testing.T, edit ...func(*github.Config)) *github.Client {
	t.Helper()
	config := github.Config{URL: s.URL, Token: secret.New(testToken), Backoff: time.Millisecond}
	for _, e := range edit {
		e(&config)
	}
	c, err := github.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const testToken = "ghp_the-token-of-the-test"

// reply writes an answer of GitHub's.
func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

// refuse answers with GitHub's words for an error, and headers as pairs.
func refuse(status int, message string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		reply(w, status, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"})
	}
}

// cut closes the connection in place of an answer.
func cut(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }

// inTurn gives its first answer to the first call, and so on; the last goes on.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	next := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(next, len(handlers)-1)]
		next++
		mu.Unlock()
		h(w, r)
	}
}

func runnerDoc(id int, name string) map[string]any {
	return openapi.Minimal("runner", map[string]any{
		"id": id, "name": name, "os": "linux", "status": "online", "busy": true,
		"labels": []any{map[string]any{"name": "linux"}, map[string]any{"name": "gpu"}},
	})
}

// registered answers a request for a JIT configuration.
func registered(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name string }
	json.NewDecoder(r.Body).Decode(&in)
	reply(w, 201, map[string]any{"runner": runnerDoc(42, in.Name), "encoded_jit_config": "c2VjcmV0LWppdA=="})
}

// testClock is the clocks of a machine in a test.
type testClock struct {
	mu     sync.Mutex
	now    time.Time     // under mu
	steady time.Duration // under mu
}

func newClock() *testClock {
	return &testClock{now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), steady: time.Hour}
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// of gives a client these clocks.
func (c *testClock) of(config *github.Config) {
	config.Clock = clock.Clock{Now: c.Now, Steady: func() time.Duration {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.steady
	}}
}

// advance lets time pass.
func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.steady = c.now.Add(d), c.steady+d
}

// set is what a person, or NTP, does to the wall clock.
func (c *testClock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func scope(t *testing.T, s string) github.Scope {
	t.Helper()
	parsed, err := github.ParseScope(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// jitRequest asks for a runner with a name of its own.
func jitRequest(n int) github.JITRequest {
	return github.JITRequest{Name: fmt.Sprintf("r%d", n), Labels: []string{"linux", "gpu"}}
}
