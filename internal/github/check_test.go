package github_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

func TestCheck(t *testing.T) {
	refused := func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 401, map[string]any{"message": "Bad credentials"})
	}
	for _, c := range []struct {
		name  string
		app   bool
		route string
		does  http.HandlerFunc
		want  error
	}{
		{"App", true, "GET /app", signed(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, openapi.Minimal("integration", nil)) }), nil},
		{"App that is not", true, "GET /app", refused, github.ErrUnauthorized},
		{"token", false, "GET /rate_limit", func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, openapi.Minimal("rate-limit-overview", nil))
		}, nil},
		{"token of a server without rate limits", false, "GET /rate_limit", func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 404, map[string]any{"message": "Rate limiting is not enabled."})
		}, nil},
		{"token that was revoked", false, "GET /rate_limit", refused, github.ErrUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{c.route: c.does})
			edit := func(*github.Config) {}
			if c.app {
				edit = asApp
			}
			if err := s.client(t, edit).Check(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("Check = %v, want %v", err, c.want)
			}
		})
	}
}
