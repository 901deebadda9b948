package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

func deliveryDoc(id int, guid string, at time.Time, code int) map[string]any {
	return openapi.Minimal("hook-delivery-item", map[string]any{
		"id": id, "guid": guid, "delivered_at": at.UTC().Format(time.RFC3339), "status_code": code,
		"status": http.StatusText(code), "event": "workflow_job", "action": "queued",
	})
}

// cursored serves all in pages, newest first, as GitHub does for deliveries.
func cursored(all []any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		to := min(from+size, len(all))
		if to < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?per_page=%d&cursor=%d>; rel="next"`, r.Host, r.URL.Path, size, to))
		}
		reply(w, 200, all[from:to])
	}
}

func TestFailedDeliveries(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	all := []any{
		deliveryDoc(903, "twice", ago(1), 503),
		deliveryDoc(902, "repaired", ago(2), 202),
		deliveryDoc(901, "unreachable", ago(3), 0),
	}
	for i := range 240 {
		all = append(all, deliveryDoc(800-i, fmt.Sprintf("fine%d", i), ago(4), 202))
	}
	all = append(all,
		deliveryDoc(503, "twice", ago(5), 500),
		deliveryDoc(502, "repaired", ago(6), 502),
		deliveryDoc(501, "old", ago(100), 500))
	for i := range 300 {
		all = append(all, deliveryDoc(400-i, fmt.Sprintf("older%d", i), ago(101), 500))
	}
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/hooks/3/deliveries": cursored(all),
		"GET /orgs/acme/hooks/3/deliveries":      cursored(all),
		"GET /app/hook/deliveries":               signed(t, cursored(all)),
	})
	want := []github.Delivery{
		{ID: 903, GUID: "twice", Event: "workflow_job", Action: "queued", At: ago(1), Code: 503, Status: "Service Unavailable", Attempts: 2},
		{ID: 901, GUID: "unreachable", Event: "workflow_job", Action: "queued", At: ago(3), Attempts: 1},
	}
	tests := []struct {
		where  github.Scope
		client *github.Client
	}{{scope(t, "acme/web"), s.client(t)}, {scope(t, "acme"), s.client(t)}, {github.AppScope(), s.client(t, asApp)}}
	for _, tt := range tests {
		before := len(s.seen())
		got, err := tt.client.FailedDeliveries(t.Context(), tt.where, 3, ago(60))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.where, diff)
		}
		if n := len(s.seen()) - before; n != 3 {
			t.Errorf("%s: %d pages, want 3: the rest is older", tt.where, n)
		}
	}
}

func TestRedeliver(t *testing.T) {
	accepted := func(w http.ResponseWriter, r *http.Request) { reply(w, 202, map[string]any{}) }
	s := serve(t, map[string]http.HandlerFunc{
		"POST /repos/acme/web/hooks/3/deliveries/901/attempts": accepted,
		"POST /orgs/acme/hooks/3/deliveries/901/attempts":      cut,
		"POST /app/hook/deliveries/901/attempts":               signed(t, refuse(404, "Not Found")),
	})
	if err := s.client(t).Redeliver(t.Context(), scope(t, "acme/web"), 3, 901); err != nil {
		t.Error(err)
	}
	if err := s.client(t).Redeliver(t.Context(), scope(t, "acme"), 3, 901); !errors.Is(err, github.ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
	if err := s.client(t, asApp).Redeliver(t.Context(), github.AppScope(), 0, 901); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if calls := s.seen(); len(calls) != 3 {
		t.Errorf("calls %q, want each once", calls)
	}
}
