package dockertest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A Relay stands before an engine, notes what the engine is asked, and can come between.
type Relay struct {
	Socket string

	to     http.Handler
	server *http.Server // of the time since it was made or mended; owned by the test

	mu       sync.Mutex
	requests []string          // guarded by mu
	silent   string            // ends the paths that are not answered; "" for none; guarded by mu
	replaced map[string]string // what is answered in the engine's place, by what ends the path; guarded by mu
	news     chan struct{}     // closed and made anew with each request; guarded by mu
}

// NewRelay relays to the engine on socket until the test is over.
func NewRelay(t testing.TB, socket string) *Relay {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	proxy.FlushInterval = -1 // events come one by one
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	r := &Relay{Socket: filepath.Join(socketDir(t), "relay.sock"), to: proxy, replaced: map[string]string{}, news: make(chan struct{})}
	r.Mend(t)
	t.Cleanup(r.Cut)
	return r
}

// Cut ends all connections and takes no more.
func (r *Relay) Cut() { r.server.Close() }

// Mend takes connections again.
func (r *Relay) Mend(t testing.TB) {
	t.Helper()
	os.Remove(r.Socket)
	l, err := net.Listen("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	r.server = server
	go server.Serve(l)
}

// Silence keeps calls from being made and answered whose paths end in suffix, such as
// /events; with "" no more.
func (r *Relay) Silence(suffix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = suffix
}

// Replace has calls answered with JSON in the engine's place whose paths end in suffix.
func (r *Relay) Replace(suffix, json string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replaced[suffix] = json
}

// version is what begins the path of a request, which says nothing here.
var version = regexp.MustCompile(`^/v[0-9.]+`)

// ServeHTTP notes and relays one request.
func (r *Relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	path := version.ReplaceAllString(request.URL.Path, "")
	r.mu.Lock()
	r.requests = append(r.requests, request.Method+" "+path)
	silent := r.silent != "" && strings.HasSuffix(path, r.silent)
	answer := ""
	for suffix, json := range r.replaced {
		if strings.HasSuffix(path, suffix) {
			answer = json
		}
	}
	close(r.news)
	r.news = make(chan struct{})
	r.mu.Unlock()
	switch {
	case silent:
		<-request.Context().Done()
		return
	case answer != "":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
		return
	}
	r.to.ServeHTTP(w, request)
}

// Take returns the requests since the last call, such as "GET /events".
func (r *Relay) Take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}

// Await blocks until enough says so of the requests that were not taken yet.
func (r *Relay) Await(t testing.TB, enough func(requests []string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		r.mu.Lock()
		ok, news := enough(r.requests), r.news
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("the engine was asked %q, which is not enough", r.Take())
		}
	}
}
