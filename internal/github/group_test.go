package github_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

const (
	groupsRoute = "GET /orgs/acme/actions/runner-groups"
	orgJITRoute = "POST /orgs/acme/actions/runners/generate-jitconfig"
)

// groupList answers with groups, whose ids are 1, 2, 3.
func groupList(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		for i, name := range names {
			list = append(list, openapi.Minimal("runner-groups-org", map[string]any{"id": i + 1, "name": name}))
		}
		reply(w, 200, map[string]any{"total_count": len(list), "runner_groups": list})
	}
}

// TestGroupByName: the id of a group is asked for once, and again when GitHub refuses it.
func TestGroupByName(t *testing.T) {
	var used []any
	register := func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Runner_group_id any }
		json.NewDecoder(r.Body).Decode(&in)
		used = append(used, in.Runner_group_id)
		reply(w, 201, map[string]any{"runner": runnerDoc(42, "r"), "encoded_jit_config": "c2VjcmV0LWppdA=="})
	}
	s := serve(t, map[string]http.HandlerFunc{
		groupsRoute: inTurn(groupList("Default", "Builds"), groupList("Default", "Other", "Builds")),
		orgJITRoute: inTurn(register, register, refuse(404, "Not Found"), register),
	})
	c := s.client(t)
	for i, group := range []string{"builds", "Builds", "builds", "builds", "9", "default", ""} {
		r := jitRequest(i)
		r.Group = group
		_, err := c.Register(t.Context(), scope(t, "acme"), r)
		if refused := i == 2; refused != (err != nil) {
			t.Errorf("registration %d: %v", i, err)
		}
	}
	if want := []any{2.0, 2.0, 3.0, 9.0, 1.0, 1.0}; !equal(used, want) {
		t.Errorf("groups %v, want %v", used, want)
	}
	lists := 0
	for _, call := range s.seen() {
		if strings.HasPrefix(call, "GET ") {
			lists++
		}
	}
	if lists != 2 {
		t.Errorf("groups were listed %d times, want twice: %q", lists, s.seen())
	}
}

func equal(a, b []any) bool {
	one, _ := json.Marshal(a)
	two, _ := json.Marshal(b)
	return string(one) == string(two)
}

// TestNoSuchGroup names the groups that there are. A repository has none.
func TestNoSuchGroup(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{groupsRoute: groupList("Default", "Builds")})
	c := s.client(t)
	r := jitRequest(1)
	r.Group = "Bilds"
	_, err := c.Register(t.Context(), scope(t, "acme"), r)
	if !errors.Is(err, github.ErrUnprocessable) || !strings.Contains(err.Error(), "the groups are Default, Builds") {
		t.Errorf("%v, want the groups that there are", err)
	}
	if _, err := c.Register(t.Context(), scope(t, "acme/web"), r); err == nil || !strings.Contains(err.Error(), "set github.runners_at") {
		t.Errorf("at a repository: %v, want what to set", err)
	}
}
