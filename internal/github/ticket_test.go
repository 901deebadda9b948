package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
)

func TestTickets(t *testing.T) {
	clock := newClock()
	s := serve(t, map[string]http.HandlerFunc{
		"POST /repos/acme/web/actions/runners/registration-token": func(w http.ResponseWriter, r *http.Request) {
			reply(w, 201, map[string]any{"token": "AAAA", "expires_at": clock.Now().Add(time.Hour).Format(time.RFC3339)})
		},
		"POST /enterprises/corp/actions/runners/generate-jitconfig": registered,
	})
	c := s.client(t, clock.of)

	byToken, err := c.TokenTicket(t.Context(), scope(t, "acme/web"))
	if err != nil || !byToken.Expires.Equal(clock.Now().Add(time.Hour)) || byToken.Secret.Reveal() != "AAAA" {
		t.Errorf("%+v, %v", byToken, err)
	}
	if got, want := byToken.Command(), "./config.sh --unattended --ephemeral --url "+s.URL+"/acme/web --token AAAA && ./run.sh"; got != want {
		t.Errorf("command %q, want %q", got, want)
	}
	byJIT, err := c.JITTicket(t.Context(), scope(t, "enterprises/corp"), jitRequest(1))
	if err != nil || byJIT.Runner != "r1" || byJIT.RunnerID != 42 || byJIT.URL != s.URL+"/enterprises/corp" || !byJIT.Expires.After(clock.Now()) {
		t.Errorf("%+v, %v", byJIT, err)
	}
	if got, want := byJIT.Command(), "ACTIONS_RUNNER_INPUT_JITCONFIG=c2VjcmV0LWppdA== ./run.sh"; got != want {
		t.Errorf("command %q, want %q", got, want)
	}
	data, err := json.Marshal([]github.Ticket{byToken, byJIT})
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%s %+v %+v", data, byToken, byJIT); strings.Contains(all, "AAAA") || strings.Contains(all, "c2Vj") {
		t.Errorf("a ticket shows its secret: %s", all)
	}
	if want := `"scope":"enterprises/corp"`; !strings.Contains(string(data), want) {
		t.Errorf("%s, want it to hold %s", data, want)
	}
}
