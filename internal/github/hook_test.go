package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

var hookConfig = github.HookConfig{
	URL: "https://m.example/webhook", Secret: secret.New("hook-secret"), Events: []string{"workflow_job", "ping"},
}

func hookDoc(schema string, id int, url string) map[string]any {
	return openapi.Minimal(schema, map[string]any{
		"id": id, "active": true, "events": []any{"workflow_job"},
		"config": map[string]any{"url": url, "content_type": "json", "secret": "********", "insecure_ssl": "0"},
	})
}

// keep decodes a request's body into got and goes on.
func keep(got *map[string]any, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*got = nil
		json.NewDecoder(r.Body).Decode(got)
		next(w, r)
	}
}

func TestInstallWebhook(t *testing.T) {
	for _, tt := range []struct{ where, path, schema string }{{"acme/web", "/repos/acme/web/hooks", "hook"}, {"acme", "/orgs/acme/hooks", "org-hook"}} {
		var hooks []any
		for id := range 120 {
			hooks = append(hooks, hookDoc(tt.schema, id+1, fmt.Sprintf("https://other.example/%d", id)))
		}
		var got map[string]any
		config := map[string]any{"url": hookConfig.URL, "content_type": "json", "secret": "hook-secret", "insecure_ssl": "0"}
		s := serve(t, map[string]http.HandlerFunc{
			"GET " + tt.path: paged(func() []any { return hooks }, "", nil),
			"POST " + tt.path: keep(&got, func(w http.ResponseWriter, r *http.Request) {
				hooks = append(hooks, hookDoc(tt.schema, 121, hookConfig.URL))
				reply(w, 201, hooks[120])
			}),
			"PATCH " + tt.path + "/121": keep(&got, func(w http.ResponseWriter, r *http.Request) { reply(w, 200, hooks[120]) }),
		})
		c := s.client(t)
		want := github.Hook{ID: 121, URL: hookConfig.URL, Events: []string{"workflow_job"}, Active: true}

		made, err := c.InstallWebhook(t.Context(), scope(t, tt.where), hookConfig)
		if err != nil || !cmp.Equal(made, want) {
			t.Errorf("%s: made %+v, %v", tt.where, made, err)
		}
		body := map[string]any{"name": "web", "active": true, "events": []any{"workflow_job", "ping"}, "config": config}
		if diff := cmp.Diff(body, got); diff != "" {
			t.Errorf("%s: POST (-want +got):\n%s", tt.where, diff)
		}
		changed, err := c.InstallWebhook(t.Context(), scope(t, tt.where), hookConfig)
		if err != nil || !cmp.Equal(changed, want) {
			t.Errorf("%s: changed %+v, %v", tt.where, changed, err)
		}
		delete(body, "name")
		if diff := cmp.Diff(body, got); diff != "" {
			t.Errorf("%s: PATCH (-want +got):\n%s", tt.where, diff)
		}
		if calls := s.seen(); len(calls) != 2*3 {
			t.Errorf("%s: calls %q, want two pages and one change each time", tt.where, calls)
		}
	}
}

func TestInstallWebhookOfApp(t *testing.T) {
	var got map[string]any
	config := func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, map[string]any{"url": hookConfig.URL, "content_type": "json", "secret": "********", "insecure_ssl": "0"})
	}
	s := serve(t, map[string]http.HandlerFunc{
		"PATCH /app/hook/config": signed(t, keep(&got, config)),
		"GET /app/hook/config":   signed(t, config),
		"GET /app": signed(t, func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, openapi.Minimal("integration", map[string]any{
				"events": []any{"push"}, "owner": openapi.Minimal("simple-user", nil), "permissions": map[string]any{},
			}))
		}),
	})
	hook, err := s.client(t, asApp).InstallWebhook(t.Context(), github.AppScope(), hookConfig)
	want := github.Hook{URL: hookConfig.URL, Events: []string{"push"}, Active: true, Missing: []string{"workflow_job"}}
	if err != nil || !cmp.Equal(hook, want) {
		t.Errorf("%+v, %v, want %+v", hook, err, want)
	}
	if got["secret"] != "hook-secret" || got["url"] != hookConfig.URL {
		t.Errorf("the App's webhook was told %v", got)
	}
}

func TestPingAndRemoveWebhook(t *testing.T) {
	done := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }
	s := serve(t, map[string]http.HandlerFunc{
		"GET /orgs/acme/hooks": func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, []any{hookDoc("org-hook", 3, hookConfig.URL)})
		},
		"POST /orgs/acme/hooks/3/pings": done,
		"DELETE /orgs/acme/hooks/3":     inTurn(done, refuse(404, "Not Found")),
	})
	c := s.client(t)
	acme := scope(t, "acme")
	hook, err := c.Webhook(t.Context(), acme, hookConfig.URL)
	if err != nil || hook.ID != 3 {
		t.Fatalf("%+v, %v", hook, err)
	}
	if _, err := c.Webhook(t.Context(), acme, "https://m.example/other"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if err := c.PingWebhook(t.Context(), acme, 3); err != nil {
		t.Error(err)
	}
	if err := c.RemoveWebhook(t.Context(), acme, 3); err != nil {
		t.Error(err)
	}
	if err := c.RemoveWebhook(t.Context(), acme, 3); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// TestByHand is about what GitHub has no call for.
func TestByHand(t *testing.T) {
	s := serve(t, nil)
	c := s.client(t)
	corp := scope(t, "enterprises/corp")
	_, install := c.InstallWebhook(t.Context(), corp, hookConfig)
	_, find := c.Webhook(t.Context(), corp, hookConfig.URL)
	_, failed := c.FailedDeliveries(t.Context(), corp, 1, time.Time{})
	for name, err := range map[string]error{
		"install": install, "find": find, "deliveries": failed,
		"ping": c.PingWebhook(t.Context(), github.AppScope(), 0), "remove": c.RemoveWebhook(t.Context(), github.AppScope(), 0),
		"redeliver": c.Redeliver(t.Context(), corp, 1, 1),
	} {
		var e *github.Error
		if !errors.Is(err, github.ErrByHand) || !errors.As(err, &e) || !strings.Contains(e.Hint(), "/settings/") {
			t.Errorf("%s: %v, want ErrByHand with a hint where", name, err)
		}
	}
	want := github.Manual{
		Page: s.URL + "/enterprises/corp/settings/hooks", PayloadURL: hookConfig.URL, ContentType: "application/json",
		Secret: hookConfig.Secret, SSL: "Enable SSL verification", Events: hookConfig.Events, Active: true,
	}
	if got := c.ByHand(corp, hookConfig); fmt.Sprint(got) != fmt.Sprint(want) || got.Secret.Reveal() != "hook-secret" {
		t.Errorf("%+v, want %+v", got, want)
	}
}
