package pipeline_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A memo keeps texts in memory.
type memo map[string][]byte

func (m memo) Read(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memo) Write(_ context.Context, name string, text []byte) error {
	m[name] = text
	return nil
}

// answering has acme/web's webhook answer with a code, and one delivery sent there.
func (s *site) answering(t *testing.T, code *int) {
	t.Helper()
	ends := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(*code) }))
	t.Cleanup(ends.Close)
	_ = s.sim.CreateRepository(githubsim.Repository{Name: "acme/web"}) // it may be there
	hook, err := s.sim.AddWebhook(githubsim.Webhook{Repository: "acme/web", URL: ends.URL + "/webhook", Secret: secret.New("It's a Secret"), Events: []string{"workflow_job"}})
	if err != nil {
		t.Fatal(err)
	}
	s.HookAt, s.HookURL = "acme/web", ends.URL+"/webhook"
	at, err := github.ParseScope("acme/web")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Forge.(*github.Client).PingWebhook(t.Context(), at, hook); err != nil {
		t.Fatal(err)
	}
	if err := s.sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRedeliveryEnds: a delivery that always fails is asked for five times, at growing pauses, by however many
// processes; one that the webhook would never take not at all.
func TestRedeliveryEnds(t *testing.T) {
	for code, want := range map[int]int{503: 5, 401: 5, 400: 0, 413: 0, 415: 0} {
		s := open(t)
		begin := time.Now()
		var passed atomic.Int64
		now := func() time.Time { return begin.Add(time.Duration(passed.Load())) }
		s.clock = now
		keeps := memo{}
		posts, last := 0, time.Time{}
		s.called = func(r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/attempts") {
				if pause := now().Sub(last); posts > 1 && pause < time.Duration(posts)*time.Minute {
					t.Errorf("%d: attempt %d after %v", code, posts+1, pause)
				}
				posts, last = posts+1, now()
			}
		}
		s.answering(t, &code)
		for range 24 * 60 / 5 {
			cold := pipeline.New(s.Config)
			cold.Now, cold.Memo = now, keeps
			if err := cold.Redeliver(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.sim.WaitDelivered(t.Context()); err != nil {
				t.Fatal(err)
			}
			passed.Add(int64(5 * time.Minute))
		}
		if posts != want {
			t.Errorf("answered with %d: asked for %d times in a day: want %d", code, posts, want)
		}
	}
}
