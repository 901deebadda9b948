package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github"
)

func TestRegister(t *testing.T) {
	var got map[string]any
	answer := func(w http.ResponseWriter, r *http.Request) {
		got = nil
		json.NewDecoder(r.Body).Decode(&got)
		reply(w, 201, map[string]any{"runner": runnerDoc(42, "r1"), "encoded_jit_config": "c2VjcmV0LWppdA=="})
	}
	s := serve(t, map[string]http.HandlerFunc{
		jitRoute: answer,
		"POST /orgs/acme/actions/runners/generate-jitconfig":        answer,
		"POST /enterprises/acme/actions/runners/generate-jitconfig": answer,
	})
	c := s.client(t)
	for _, where := range []string{"acme/web", "acme", "enterprises/acme"} {
		jit, err := c.Register(t.Context(), scope(t, where), github.JITRequest{Name: "r1", Labels: []string{"linux", "GPU"}})
		if err != nil || jit.RunnerID != 42 || jit.Config.Reveal() != "c2VjcmV0LWppdA==" {
			t.Errorf("%s: %v, %v", where, jit, err)
		}
		want := map[string]any{"name": "r1", "runner_group_id": 1.0, "labels": []any{"linux", "GPU"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: request (-want +got):\n%s", where, diff)
		}
	}
	if _, err := c.Register(t.Context(), scope(t, "acme/web"), github.JITRequest{Name: "r1", Labels: []string{"a"}, Group: "7", WorkFolder: "w"}); err != nil {
		t.Error(err)
	}
	if want := (map[string]any{"name": "r1", "runner_group_id": 7.0, "labels": []any{"a"}, "work_folder": "w"}); !cmp.Equal(want, got) {
		t.Errorf("request %v, want %v", got, want)
	}
	if calls := s.seen(); len(calls) != 4 {
		t.Errorf("calls %q, want one for each runner", calls)
	}
}

// TestRegisterMakesNoSense is about what is refused without asking GitHub.
func TestRegisterMakesNoSense(t *testing.T) {
	c := serve(t, nil).client(t)
	web := scope(t, "acme/web")
	for _, j := range []github.JITRequest{{}, {Name: "r1"}, {Labels: []string{"a"}}, {Name: "r1", Labels: make([]string, 101)}} {
		if _, err := c.Register(t.Context(), web, j); err == nil {
			t.Errorf("%+v: want an error", j)
		}
	}
	for _, where := range []github.Scope{{}, github.AppScope()} {
		if _, err := c.Register(t.Context(), where, jitRequest(1)); err == nil {
			t.Errorf("%s: want an error", where)
		}
	}
}

// paged serves list in pages as GitHub does; before is called ahead of each.
func paged(list func() []any, member string, before func(page int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		size, page = max(size, 1), max(page, 1)
		if before != nil {
			before(page)
		}
		all := list()
		from, to := min((page-1)*size, len(all)), min(page*size, len(all))
		if to < len(all) {
			next := *r.URL
			q := next.Query()
			q.Set("page", strconv.Itoa(page+1))
			next.RawQuery = q.Encode()
			last := next
			q.Set("page", strconv.Itoa((len(all)+size-1)/size))
			last.RawQuery = q.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s>; rel="next", <http://%s%s>; rel="last"`, r.Host, next.String(), r.Host, last.String()))
		}
		if member == "" {
			reply(w, 200, slices.Clone(all[from:to]))
			return
		}
		reply(w, 200, map[string]any{"total_count": len(all), member: slices.Clone(all[from:to])})
	}
}

func manyRunners(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = runnerDoc(i+1, fmt.Sprintf("r%d", i+1))
	}
	return all
}

func TestRunnersOfAllPages(t *testing.T) {
	for _, n := range []int{0, 1, 100, 101, 250} {
		s := serve(t, map[string]http.HandlerFunc{runnersRoute: paged(func() []any { return manyRunners(n) }, "runners", nil)})
		all, err := s.client(t).Runners(t.Context(), scope(t, "acme/web"))
		if err != nil || len(all) != n {
			t.Fatalf("%d runners, %v, want %d", len(all), err, n)
		}
		if calls := s.seen(); len(calls) != max(1, (n+99)/100) {
			t.Errorf("%d runners took the calls %q", n, calls)
		}
		if n == 250 {
			want := github.Runner{ID: 250, Name: "r250", OS: "linux", Online: true, Busy: true, Labels: []string{"linux", "gpu"}}
			if diff := cmp.Diff(want, all[249]); diff != "" {
				t.Errorf("last runner (-want +got):\n%s", diff)
			}
		}
	}
}

// TestRunnersThatMove has a runner of the first page leave while the second is
// read, so that the first of the second page moves up and is not seen.
func TestRunnersThatMove(t *testing.T) {
	list := manyRunners(150)
	var moved atomic.Bool
	s := serve(t, map[string]http.HandlerFunc{runnersRoute: paged(
		func() []any { return list }, "runners",
		func(page int) {
			if page == 2 && moved.CompareAndSwap(false, true) {
				list = list[1:]
			}
		})})
	all, err := s.client(t).Runners(t.Context(), scope(t, "acme/web"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, r := range all {
		if seen[r.ID] {
			t.Errorf("runner %d is twice in the list", r.ID)
		}
		seen[r.ID] = true
	}
	for id := int64(2); id <= 150; id++ {
		if !seen[id] {
			t.Errorf("runner %d is registered and not in the list", id)
		}
	}
}

func TestRunnerByName(t *testing.T) {
	find := func(w http.ResponseWriter, r *http.Request) {
		paged(func() []any { return manyRunners(3) }, "runners", nil)(w, r) // as a server that ignores the name
	}
	s := serve(t, map[string]http.HandlerFunc{runnersRoute: find})
	c := s.client(t)
	if r, err := c.RunnerByName(t.Context(), scope(t, "acme/web"), "r2"); err != nil || r.ID != 2 {
		t.Errorf("r2: %v, %v", r, err)
	}
	if r, err := c.RunnerByName(t.Context(), scope(t, "acme/web"), "R2"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("R2: %v, %v, want ErrNotFound", r, err)
	}
	for _, call := range s.seen() {
		if !strings.Contains(call, "name=r2") && !strings.Contains(call, "name=R2") {
			t.Errorf("call %q: want GitHub to look for the name", call)
		}
	}
}

func TestRemoveRunner(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"DELETE /orgs/acme/actions/runners/1": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
		"DELETE /orgs/acme/actions/runners/2": refuse(404, "Not Found"),
		"DELETE /orgs/acme/actions/runners/3": refuse(422, `Runner "r3" is currently running a job and cannot be deleted.`),
		"DELETE /orgs/acme/actions/runners/4": refuse(403, "Must have admin rights"),
	})
	c := s.client(t)
	for id, want := range map[int64]error{1: nil, 2: nil, 3: github.ErrBusy, 4: github.ErrForbidden} {
		if err := c.RemoveRunner(t.Context(), scope(t, "acme"), id); !errors.Is(err, want) {
			t.Errorf("runner %d: %v, want %v", id, err, want)
		}
	}
}

// TestForgetRunner is the way out of a name that is taken.
func TestForgetRunner(t *testing.T) {
	deleted := 0
	s := serve(t, map[string]http.HandlerFunc{
		runnersRoute: inTurn(paged(func() []any { return manyRunners(2) }, "runners", nil), noRunners, refuse(404, "Not Found")),
		"DELETE /repos/acme/web/actions/runners/2": func(w http.ResponseWriter, r *http.Request) { deleted++; w.WriteHeader(204) },
	})
	c := s.client(t)
	web := scope(t, "acme/web")
	if err := c.ForgetRunner(t.Context(), web, "r2"); err != nil || deleted != 1 {
		t.Errorf("r2: %v, %d removed", err, deleted)
	}
	if err := c.ForgetRunner(t.Context(), web, "r2"); err != nil || deleted != 1 {
		t.Errorf("r2 again: %v, %d removed", err, deleted)
	}
	if err := c.ForgetRunner(t.Context(), web, "r2"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound: it is the repository that is not there", err)
	}
}

func TestTokens(t *testing.T) {
	expires := time.Date(2026, 1, 31, 13, 0, 0, 0, time.UTC)
	answer := func(token string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			reply(w, 201, map[string]any{"token": token, "expires_at": expires.Format(time.RFC3339)})
		}
	}
	s := serve(t, map[string]http.HandlerFunc{
		"POST /orgs/acme/actions/runners/registration-token": answer("AAA"),
		"POST /orgs/acme/actions/runners/remove-token":       answer("BBB"),
	})
	c := s.client(t)
	if tok, err := c.RegistrationToken(t.Context(), scope(t, "acme")); err != nil || tok.Value.Reveal() != "AAA" || !tok.Expires.Equal(expires) {
		t.Errorf("%v, %v", tok, err)
	}
	if tok, err := c.RemoveToken(t.Context(), scope(t, "acme")); err != nil || tok.Value.Reveal() != "BBB" || !tok.Expires.Equal(expires) {
		t.Errorf("%v, %v", tok, err)
	}
}
