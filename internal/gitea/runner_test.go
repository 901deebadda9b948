package gitea

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// These are about what a real Gitea does rarely: internal/forgetest has the rest.

func org(t *testing.T) forge.Scope {
	t.Helper()
	at, err := forge.ParseScope("acme")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func tell(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// TestRunnersMove: a runner that Gitea hears of while the list is read moves to its front, and
// the first of the second page is not seen: the list is read again.
func TestRunnersMove(t *testing.T) {
	var ids []int64
	for id := range int64(70) {
		ids = append(ids, id+1)
	}
	moved := false
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/orgs/acme/actions/jobs", func(w http.ResponseWriter, _ *http.Request) { tell(w, 200, map[string]any{}) })
	mux.HandleFunc("GET /api/v1/orgs/acme/actions/runners", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		var page []map[string]any
		for _, id := range ids[(n-1)*pageSize : min(n*pageSize, len(ids))] {
			page = append(page, map[string]any{"id": id, "name": fmt.Sprint(id)})
		}
		tell(w, 200, map[string]any{"runners": page, "total_count": len(ids)})
		if n == 1 && !moved {
			moved = true
			ids = append([]int64{70}, ids[:69]...)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	list, err := newClient(t, server.URL).Runners(t.Context(), org(t))
	if err != nil || len(list) != 70 || !slices.IsSortedFunc(list, func(a, b forge.Runner) int { return int(a.ID - b.ID) }) {
		t.Errorf("%d runners, %v: want all 70, in order", len(list), err)
	}
}

// TestResetToken: a person resets the registration token, which is kept here.
func TestResetToken(t *testing.T) {
	good, refused := "one", 0
	mux := http.NewServeMux()
	empty := func(w http.ResponseWriter, _ *http.Request) { tell(w, 200, map[string]any{}) }
	mux.HandleFunc("GET /api/v1/orgs/acme/actions/jobs", empty)
	mux.HandleFunc("GET /api/v1/orgs/acme/actions/runners", empty)
	mux.HandleFunc("POST /api/v1/orgs/acme/actions/runners/registration-token", func(w http.ResponseWriter, _ *http.Request) {
		tell(w, 200, map[string]string{"token": good})
	})
	mux.HandleFunc("POST /api/actions/runner.v1.RunnerService/Register", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Token     string
			Ephemeral bool
		}
		switch err := json.NewDecoder(r.Body).Decode(&body); {
		case err != nil || !body.Ephemeral || r.Header.Get("Authorization") != "":
			t.Errorf("%+v, %v, with %q: want an ephemeral runner, without the token of the API", body, err, r.Header.Get("Authorization"))
		case body.Token != good || good == "none":
			refused++
			tell(w, 500, map[string]string{"code": "unknown", "message": "runner registration token not found"})
		default:
			tell(w, 200, map[string]any{"runner": map[string]any{"id": "7", "uuid": "u", "token": "secret"}})
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	c := newClient(t, server.URL)
	register := func() error {
		made, err := c.Register(t.Context(), org(t), forge.Registration{Name: "r", Labels: []string{"a"}})
		if err == nil && made.RunnerID != 7 {
			t.Errorf("%+v: want runner 7", made)
		}
		return err
	}
	if err := register(); err != nil || refused != 0 {
		t.Fatalf("%v, %d refused", err, refused)
	}
	good = "two"
	if err := register(); err != nil || refused != 1 {
		t.Errorf("after a reset: %v, %d refused: want the new token asked for", err, refused)
	}
	good = "none"
	if err := register(); !errors.Is(err, forge.ErrUnavailable) || refused != 3 {
		t.Errorf("with no good token: %v, %d refused: want two attempts", err, refused)
	}
}

// TestSpellings: labels as jobs spelled them, those of deliveries and, after a start, those of queued jobs.
func TestSpellings(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		tell(w, 200, map[string]any{"jobs": []any{map[string]any{"labels": []string{"GPU", "Small"}}}})
	}))
	defer server.Close()
	c := newClient(t, server.URL)
	for _, step := range []struct{ labels, want []string }{
		{[]string{"small"}, []string{"Small", "small"}},
		{[]string{"gpu"}, []string{"GPU", "gpu"}},
	} {
		got, err := c.spelled(t.Context(), org(t), step.labels)
		if err != nil || !slices.Equal(got, step.want) || asked != 1 {
			t.Errorf("%q: %q, %v after %d calls: want %q after one", step.labels, got, err, asked, step.want)
		}
	}
	c.spellings.add([]string{"SMALL"})
	if got, _ := c.spellings.of([]string{"small"}); !slices.Equal(got, []string{"SMALL", "Small", "small"}) {
		t.Errorf("%q", got)
	}
	for n := range 100 {
		c.spellings.add([]string{fmt.Sprintf("l%d", n)})
	}
	for range 100 {
		c.spellings.add([]string{"ſmall", "sMall", "smAll", "smaLl", "smalL", "SMall", "SMAll", "SMALl"})
	}
	if got, _ := c.spellings.of([]string{"small"}); len(got) > maxSpellings+1 {
		t.Errorf("%d spellings: want at most %d", len(got), maxSpellings+1)
	}
}
