package github_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// simulated is githubsim with the repository acme/web, behind the judge.
type simulated struct {
	*githubsim.Sim
	URL string
}

func simulate(t *testing.T) simulated {
	t.Helper()
	sim, err := githubsim.New(githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: t.TempDir(), Enterprise: "corp",
		Tokens: []secret.Secret{secret.New(testToken)}, App: &githubsim.App{ID: appID, Slug: "mayfly", Key: &appKey().PublicKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(openapi.Check(t.Errorf, sim))
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		t.Fatal(err)
	}
	return simulated{sim, server.URL}
}

func (s simulated) client(t *testing.T, edit ...func(*github.Config)) *github.Client {
	t.Helper()
	return (&canned{URL: s.URL}).client(t, edit...)
}

// TestRunnersAgainstSim has the life of a registration, in each scope that the
// credential reaches.
func TestRunnersAgainstSim(t *testing.T) {
	sim := simulate(t)
	clients := map[string]*github.Client{"token": sim.client(t), "App": sim.client(t, asApp)}
	for _, tt := range []struct{ as, where string }{
		{"token", "acme/web"}, {"token", "acme"}, {"token", "enterprises/corp"}, {"App", "acme/web"}, {"App", "acme"},
	} {
		t.Run(tt.as+" at "+tt.where, func(t *testing.T) {
			c, where, ctx := clients[tt.as], scope(t, tt.where), t.Context()
			jit, err := c.Register(ctx, where, jitRequest(1))
			if err != nil || jit.Config.IsZero() {
				t.Fatal(jit, err)
			}
			if _, err := c.Register(ctx, where, jitRequest(1)); !errors.Is(err, github.ErrConflict) {
				t.Errorf("the name a second time: %v, want ErrConflict", err)
			}
			found, err := c.RunnerByName(ctx, where, "r1")
			if err != nil || found.ID != jit.RunnerID || found.Online || found.Busy || strings.Join(found.Labels, ",") != "linux,gpu" {
				t.Errorf("%+v, %v", found, err)
			}
			for range 2 {
				if err := c.RemoveRunner(ctx, where, jit.RunnerID); err != nil {
					t.Error(err)
				}
			}
			if all, err := c.Runners(ctx, where); err != nil || len(all) != 0 {
				t.Errorf("left: %v, %v", all, err)
			}
			for _, ask := range []func() (github.Token, error){
				func() (github.Token, error) { return c.RegistrationToken(ctx, where) },
				func() (github.Token, error) { return c.RemoveToken(ctx, where) },
			} {
				if tok, err := ask(); err != nil || tok.Value.IsZero() || time.Until(tok.Expires).Round(time.Minute) != time.Hour {
					t.Errorf("token until %v, %v", tok.Expires, err)
				}
			}
		})
	}
}

// TestManyRunnersAgainstSim registers 250 at once and reads them all.
func TestManyRunnersAgainstSim(t *testing.T) {
	sim := simulate(t)
	c, web := sim.client(t, asApp), scope(t, "acme/web")
	var wg sync.WaitGroup
	for i := range 250 {
		wg.Go(func() {
			if _, err := c.Register(t.Context(), web, jitRequest(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := c.Runners(t.Context(), web); err != nil || len(all) != 250 {
		t.Errorf("%d runners, %v, want 250", len(all), err)
	}
}

// TestLostRegistrationAgainstSim is the way back from an answer that was lost: the
// runner is there, its configuration is not.
func TestLostRegistrationAgainstSim(t *testing.T) {
	sim := simulate(t)
	c, web, ctx := sim.client(t), scope(t, "acme/web"), t.Context()
	if _, err := sim.Faults().Add(fault.Rule{Path: "/repos/*/*/actions/runners/generate-jitconfig", Cut: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(ctx, web, jitRequest(1)); !errors.Is(err, github.ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
	if _, err := c.Register(ctx, web, jitRequest(1)); !errors.Is(err, github.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	if err := c.ForgetRunner(ctx, web, "r1"); err != nil {
		t.Error(err)
	}
	if _, err := c.Register(ctx, web, jitRequest(1)); err != nil {
		t.Error(err)
	}
	if left := sim.Runners(); len(left) != 1 {
		t.Errorf("%d registrations, want 1", len(left))
	}
}

// TestFaultsAgainstSim has the sim misbehave as GitHub does.
func TestFaultsAgainstSim(t *testing.T) {
	for _, tt := range []struct {
		rule fault.Rule
		want error
	}{
		{fault.Rule{Status: 401}, github.ErrUnauthorized},
		{fault.Rule{Status: 403}, github.ErrForbidden},
		{fault.Rule{Status: 404}, github.ErrNotFound},
		{fault.Rule{Status: 502}, github.ErrUnavailable},
	} {
		sim := simulate(t)
		tt.rule.Path = "/repos/*/*/actions/runners/generate-jitconfig"
		if _, err := sim.Faults().Add(tt.rule); err != nil {
			t.Fatal(err)
		}
		if _, err := sim.client(t).Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); !errors.Is(err, tt.want) {
			t.Errorf("%d: %v, want %v", tt.rule.Status, err, tt.want)
		}
	}
	sim := simulate(t)
	if _, err := sim.Faults().Add(fault.Rule{Path: "/repos/*/*/actions/runners/generate-jitconfig", Status: 429, RetryAfter: 30}); err != nil {
		t.Fatal(err)
	}
	_, err := sim.client(t).Register(t.Context(), scope(t, "acme/web"), jitRequest(1))
	if wait := time.Until(until(t, err)); wait < 25*time.Second || wait > 35*time.Second {
		t.Errorf("to wait for %v, want 30 s", wait)
	}
}

const workflow = `on: push
jobs:
  build:
    runs-on: [linux, gpu]
    strategy:
      matrix:
        n: [1, 2, 3]
    steps:
      - run: echo hello
  after:
    needs: build
    runs-on: linux
    steps:
      - run: echo bye
`

func TestJobsAgainstSim(t *testing.T) {
	sim := simulate(t)
	c := sim.client(t, asApp)
	if _, err := sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/ci.yml": workflow}}); err != nil {
		t.Fatal(err)
	}
	queued, err := c.QueuedJobs(t.Context(), "acme/web")
	if err != nil || len(queued) != 3 {
		t.Fatalf("%+v, %v, want the three of the matrix", queued, err)
	}
	one := queued[0]
	if one.Action != event.ActionQueued || strings.Join(one.Labels, ",") != "linux,gpu" || one.Attempt != 1 ||
		one.Organization != "acme" || one.Installation == 0 || one.RunID == 0 || one.Created.IsZero() {
		t.Errorf("%+v", one)
	}
	if err := sim.CancelJob(one.ID); err != nil {
		t.Fatal(err)
	}
	job, err := c.Job(t.Context(), "acme/web", one.ID, 1)
	if err != nil || job.Action != event.ActionCompleted || job.Conclusion != "cancelled" {
		t.Errorf("%+v, %v, want it cancelled", job, err)
	}
}

// TestWebhookAgainstSim installs a webhook, misses its deliveries and has them
// sent again.
func TestWebhookAgainstSim(t *testing.T) {
	sim := simulate(t)
	c, ctx := sim.client(t), t.Context()
	var down atomic.Bool
	var mu sync.Mutex
	got := map[string]int{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if down.Load() {
			w.WriteHeader(503)
			return
		}
		mu.Lock()
		got[r.Header.Get("X-GitHub-Event")]++
		mu.Unlock()
		w.WriteHeader(202)
	}))
	defer receiver.Close()
	for i, where := range []string{"acme/web", "acme"} {
		s := scope(t, where)
		config := github.HookConfig{URL: receiver.URL + "/" + strconv.Itoa(i), Secret: secret.New("s"), Events: []string{"workflow_job"}}
		hook, err := c.InstallWebhook(ctx, s, config)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.InstallWebhook(ctx, s, config); err != nil || again.ID != hook.ID {
			t.Errorf("%s: installed again: %+v, %v, want hook %d", where, again, err, hook.ID)
		}
		if err := c.PingWebhook(ctx, s, hook.ID); err != nil {
			t.Error(err)
		}
		if err := sim.WaitDelivered(ctx); err != nil {
			t.Fatal(err)
		}
		down.Store(true)
		if _, err := sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/ci.yml": workflow}}); err != nil {
			t.Fatal(err)
		}
		if err := sim.WaitDelivered(ctx); err != nil {
			t.Fatal(err)
		}
		down.Store(false)
		failed, err := c.FailedDeliveries(ctx, s, hook.ID, time.Now().Add(-time.Hour))
		if err != nil || len(failed) != 3 {
			t.Fatalf("%s: %+v, %v, want three that failed", where, failed, err)
		}
		for _, d := range failed {
			if err := c.Redeliver(ctx, s, hook.ID, d.ID); err != nil {
				t.Error(err)
			}
		}
		if err := sim.WaitDelivered(ctx); err != nil {
			t.Fatal(err)
		}
		if failed, err := c.FailedDeliveries(ctx, s, hook.ID, time.Now().Add(-time.Hour)); err != nil || len(failed) != 0 {
			t.Errorf("%s: after redelivery: %+v, %v, want none", where, failed, err)
		}
		if err := c.RemoveWebhook(ctx, s, hook.ID); err != nil {
			t.Error(err)
		}
		if _, err := c.Webhook(ctx, s, config.URL); !errors.Is(err, github.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", where, err)
		}
	}
	if mu.Lock(); got["workflow_job"] != 6 || got["ping"] < 2 {
		t.Errorf("received %v, want six jobs and the pings", got)
	}
	mu.Unlock()
}

func TestAppWebhookAgainstSim(t *testing.T) {
	sim := simulate(t)
	c := sim.client(t, asApp)
	hook, err := c.InstallWebhook(t.Context(), github.AppScope(), hookConfig)
	if err != nil || hook.URL != hookConfig.URL || len(hook.Missing) != 0 {
		t.Errorf("%+v, %v", hook, err)
	}
	if found, err := c.Webhook(t.Context(), github.AppScope(), hookConfig.URL); err != nil || found.URL != hookConfig.URL {
		t.Errorf("%+v, %v", found, err)
	}
	if failed, err := c.FailedDeliveries(t.Context(), github.AppScope(), 0, time.Time{}); err != nil || len(failed) != 0 {
		t.Errorf("%+v, %v", failed, err)
	}
}

// TestRunnerEnd asks for the enterprise, which is where GitHub's description has it.
func TestRunnerEnd(t *testing.T) {
	sim := simulate(t)
	c, corp := sim.client(t), scope(t, "enterprises/corp")
	soon, later := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Now().Add(2*time.Hour).UTC().Truncate(time.Second)
	for _, test := range []struct {
		registration, runtime, want time.Time
	}{{want: time.Time{}}, {soon, later, soon}, {later, soon, soon}, {time.Time{}, later, later}, {soon, time.Time{}, soon}} {
		sim.DeprecateRunner("2.330.0", test.registration, test.runtime)
		if got, err := c.RunnerEnd(t.Context(), corp, "2.330.0"); err != nil || !got.Equal(test.want) {
			t.Errorf("registration ends %v, runtime %v: %v, %v, want %v", test.registration, test.runtime, got, err, test.want)
		}
	}
	if _, err := c.RunnerEnd(t.Context(), scope(t, "enterprises/other"), "2.330.0"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("another enterprise: %v, want %v", err, github.ErrNotFound)
	}
}
