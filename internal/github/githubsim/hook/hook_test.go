package hook_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
)

// TestSign has the vector of GitHub's documentation.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
func TestSign(t *testing.T) {
	const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := hook.Sign("It's a Secret to Everybody", []byte("Hello, World!")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A target receives deliveries and keeps the GUIDs in order of arrival.
type target struct {
	*httptest.Server
	mu    sync.Mutex
	guids []string // mu
}

func newTarget(t *testing.T, answer func()) *target {
	got := &target{}
	got.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.mu.Lock()
		got.guids = append(got.guids, r.Header.Get("X-GitHub-Delivery"))
		got.mu.Unlock()
		answer()
	}))
	t.Cleanup(got.Server.Close)
	return got
}

func newSender(t *testing.T, timeout time.Duration) *hook.Sender {
	var ids atomic.Int64
	s := hook.New(hook.Settings{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, NextID: func() int64 { return ids.Add(1) },
		Seed: 1, Timeout: timeout, Workers: 1, Keep: 100,
	})
	t.Cleanup(s.Close)
	return s
}

var place = hook.Target{Type: hook.TargetRepository, ID: 1}

// publish sends n events under f and returns the record, oldest first.
func publish(t *testing.T, s *hook.Sender, url string, f hook.Faults, n int) []hook.Delivery {
	t.Helper()
	h := s.Create(hook.Hook{Target: place, Active: true, Events: []string{"e"}, Config: hook.Config{URL: url, ContentType: "json"}})
	s.SetFaults(f)
	for range n {
		s.Publish(hook.Event{Name: "e", Payload: map[string]int{}}, place)
		s.Publish(hook.Event{Name: "unwanted", Payload: map[string]int{}}, place)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	list := s.Deliveries(h.ID)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

func TestFaults(t *testing.T) {
	const n = 20
	for name, c := range map[string]struct {
		faults         hook.Faults
		sent, recorded int
		failed         int
	}{
		"none":    {hook.Faults{}, n, n, 0},
		"lose":    {hook.Faults{Lose: 1}, 0, n, n},
		"vanish":  {hook.Faults{Vanish: 1}, 0, 0, 0},
		"double":  {hook.Faults{Double: 1}, 2 * n, 2 * n, 0},
		"reorder": {hook.Faults{Reorder: 1}, n, n, 0},
		"delay":   {hook.Faults{Delay: 1, MaxWait: time.Millisecond}, n, n, 0},
	} {
		t.Run(name, func(t *testing.T) {
			to := newTarget(t, func() {})
			record := publish(t, newSender(t, time.Second), to.URL, c.faults, n)
			failed, guids := 0, map[string]bool{}
			for _, d := range record {
				guids[d.GUID] = true
				if d.Code >= 400 {
					failed++
				}
			}
			if len(to.guids) != c.sent || len(record) != c.recorded || failed != c.failed {
				t.Errorf("%d sent, %d recorded, %d failed: want %d, %d, %d", len(to.guids), len(record), failed, c.sent, c.recorded, c.failed)
			}
			if len(record) > 0 && len(guids) != n {
				t.Errorf("%d GUIDs, want %d", len(guids), n)
			}
		})
	}
}

func TestReorderPutsALaterOneFirst(t *testing.T) {
	to := newTarget(t, func() {})
	s := newSender(t, time.Second)
	h := s.Create(hook.Hook{Target: place, Active: true, Events: []string{"*"}, Config: hook.Config{URL: to.URL, ContentType: "json"}})
	s.SetFaults(hook.Faults{Reorder: 1, MaxWait: time.Minute})
	s.Publish(hook.Event{Name: "first", Payload: 1}, place)
	s.SetFaults(hook.Faults{})
	s.Publish(hook.Event{Name: "second", Payload: 2}, place)
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := s.Deliveries(h.ID); len(d) != 2 || d[0].Event.Name != "first" {
		t.Errorf("deliveries: %v", d)
	}
}

func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	to := newTarget(t, func() { <-release })
	defer close(release)
	d := publish(t, newSender(t, 50*time.Millisecond), to.URL, hook.Faults{}, 1)
	if d[0].Code != http.StatusGatewayTimeout || d[0].Status != "timed out" {
		t.Errorf("a silent receiver: %d %s", d[0].Code, d[0].Status)
	}
	d = publish(t, newSender(t, time.Second), "http://127.0.0.1:1", hook.Faults{}, 1)
	if d[0].Code != http.StatusBadGateway {
		t.Errorf("no receiver: %d %s", d[0].Code, d[0].Status)
	}
}
