package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// key is the secret of GitHub's documentation, and of the captures of Gitea.
const key = "It's a Secret to Everybody"

const samples = "../../testdata/webhooks"

var errFull = errors.New("disk is full")

// book is a bus that keeps events in memory, as durable as its process.
type book struct {
	mu   sync.Mutex
	kept map[string]event.Event
	err  error // answered to everything while set
}

func (b *book) publish(_ context.Context, e event.Event) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return false, b.err
	}
	if _, known := b.kept[e.ID]; known {
		return false, nil
	}
	b.kept[e.ID] = e
	return true, nil
}

func (b *book) get(id string) (event.Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.kept[id]
	return e, ok
}

var pools = pool.Set{
	{Name: "small", Labels: []string{"self-hosted", "linux", "small", "m"}},
	{Name: "rest", Labels: []string{"self-hosted", "linux", "gpu", "nolabel"}},
}

// newHandler returns a handler on a new book, its configuration changed by edit.
func newHandler(t testing.TB, edit func(*webhook.Config)) (*webhook.Handler, *book) {
	t.Helper()
	b := &book{kept: map[string]event.Event{}}
	c := webhook.Config{
		Secrets: []secret.Secret{secret.New(key)}, Pools: pools,
		Publish: b.publish, Full: errFull, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC) },
	}
	if edit != nil {
		edit(&c)
	}
	h, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h, b
}

// serve runs h as `mayfly up` does and returns its address.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := webhook.Server(h, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// sign returns the value of X-Hub-Signature-256.
func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// delivery returns a request as GitHub makes it.
func delivery(addr, name, id string, body []byte) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/webhook", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "GitHub-Hookshot/044aadd")
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-GitHub-Event", name)
	r.Header.Set("X-Hub-Signature-256", sign(key, body))
	return r
}

// said is what a handler answers.
type said struct {
	Status                         int
	Event, Pool, Note, Error, Hint string
}

func read(t testing.TB, resp *http.Response, err error) said {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := said{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("answer with status %d: %v", resp.StatusCode, err)
	}
	return got
}

func do(t testing.TB, r *http.Request) said {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	return read(t, resp, err)
}

// files returns the contents of the files that match a pattern under samples.
func files(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(samples, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		if all[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(samples, "github", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// discard is a ResponseWriter that keeps the status only.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
