package githubsim_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const (
	pat   = "ghp_test"
	appID = 7
)

// appKey is the App's; one is enough for all tests.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// keys are those of every Sim here.
var keys = jit.NewRing()

// client keeps enough connections for many runners at once.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A world is a Sim behind a real socket, with what its tests need.
type world struct {
	*githubsim.Sim
	t     testing.TB
	clock *clock
	url   string
}

// newWorld starts a Sim with the repository acme/web; what it answers is held
// against GitHub's description.
func newWorld(t testing.TB, change ...func(*githubsim.Config)) *world {
	t.Helper()
	c := &clock{t: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	cfg := githubsim.Config{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: c.Now, Enterprise: "acme-corp", Users: []string{"mona"},
		Tokens: []secret.Secret{secret.New(pat)}, App: &githubsim.App{ID: appID, Slug: "mayfly", Key: &appKey().PublicKey},
		Dir: t.TempDir(), Poll: 200 * time.Millisecond, Keys: keys,
	}
	for _, f := range change {
		f(&cfg)
	}
	sim, err := githubsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(openapi.Check(t.Errorf, sim, "/_runner/", "/actions/", "/repos/acme/web/actions/runner-groups", "/repositories/"))
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Sim: sim, t: t, clock: c, url: server.URL}
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web", Protected: []string{"production"}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// An answer is one answer.
type answer struct {
	code   int
	header http.Header
	text   string
	body   map[string]any // if it is an object
	list   []any          // if it is a list
}

// call sends body, as JSON unless it is a text, with an Authorization header.
func (w *world) call(authorization, method, path string, body any) answer {
	w.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		data, _ = json.Marshal(b)
	}
	address := path
	if strings.HasPrefix(path, "/") {
		address = w.url + path
	}
	req, err := http.NewRequest(method, address, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	if data != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{code: 0, text: err.Error()}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{code: resp.StatusCode, header: resp.Header, text: string(text)}
	if strings.HasPrefix(a.text, "[") {
		err = json.Unmarshal(text, &a.list)
	} else if strings.HasPrefix(a.text, "{") {
		err = json.Unmarshal(text, &a.body)
	}
	if err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, a.text)
	}
	return a
}

// api is a call of the REST API with the personal access token; want is its code.
func (w *world) api(want int, method, path string, body any) answer {
	w.t.Helper()
	a := w.call("Bearer "+pat, method, "/api/v3"+path, body)
	if a.code != want {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, a.code, a.text, want)
	}
	return a
}

// unchecked is a call with the personal access token past GitHub's description,
// and gives its code.
func (w *world) unchecked(method, path string, body any) int {
	w.t.Helper()
	server := httptest.NewServer(w.Sim)
	defer server.Close()
	return w.call("Bearer "+pat, method, server.URL+path, body).code
}

// push commits one workflow, ci.yml.
func (w *world) push(file string) []githubsim.Run {
	w.t.Helper()
	return w.pushFiles(map[string]string{".github/workflows/ci.yml": file})
}

func (w *world) pushFiles(files map[string]string) []githubsim.Run {
	w.t.Helper()
	runs, err := w.Push(githubsim.Push{Repository: "acme/web", Files: files})
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// one is a workflow of one job that asks for the labels linux and x64.
const one = `
name: CI
on: push
jobs:
  build:
    runs-on: [linux, X64]
    env: {LEVEL: job}
    steps:
      - run: echo hello
`

// appJWT signs claims as the App.
func appJWT(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// job returns the only job of that name.
func (w *world) job(name string) githubsim.Job {
	w.t.Helper()
	var found []githubsim.Job
	for _, j := range w.Jobs() {
		if j.Name == name {
			found = append(found, j)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d jobs are called %q of %v", len(found), name, w.Jobs())
	}
	return found[0]
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
