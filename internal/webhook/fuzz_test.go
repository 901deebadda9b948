package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// FuzzDelivery sends whole HTTP requests, signed or not. Whatever comes, the
// answer is JSON with a status of the table; 202 means that the event was kept, on the bus
// or in quarantine, and is valid, and nothing unsigned is kept.
func FuzzDelivery(f *testing.F) {
	for name, capture := range files(f, "gitea/0[0-2]*.http") {
		f.Add(capture, len(name)%2 == 0)
	}
	f.Add([]byte("POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: 1\r\nContent-Length: 2\r\n\r\n{}"), true)
	f.Fuzz(func(t *testing.T, request []byte, signed bool) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if signed {
			r.Header.Set("X-Hub-Signature-256", sign(key, body))
		}
		right := r.Header.Get("X-Hub-Signature-256") == sign(key, body)
		aside := 0
		h, b := newHandler(t, func(c *webhook.Config) {
			c.MaxBody = 64 << 10
			c.Quarantine = func(_ context.Context, e event.Event, reason string) (bool, error) {
				if aside++; e.Validate() != nil || !json.Valid(e.Detail) || reason == "" {
					t.Errorf("in quarantine: %q, for %q", e.Detail, reason)
				}
				return true, nil
			}
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := read(t, w.Result(), nil)
		if kept := len(b.kept)+aside == 1; kept != (got.Status == http.StatusAccepted) || kept && !right {
			t.Errorf("status %d, kept %v, rightly signed %v", got.Status, kept, right)
		}
		for _, e := range b.kept {
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			if _, err := e.MarshalJSON(); err != nil {
				t.Error(err)
			}
		}
	})
}
