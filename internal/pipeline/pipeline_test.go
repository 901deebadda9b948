package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A site is a pipeline against githubsim, with the plainest ledger.
type site struct {
	*pipeline.Pipeline
	sim      *githubsim.Sim
	effects  []ledger.Effect
	vanished []ledger.RunnerName
	called   func(*http.Request) // told of each call of GitHub
	clock    func() time.Time    // of GitHub and of its client
}

// RoundTrip implements [http.RoundTripper].
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.called != nil {
		s.called(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func open(t *testing.T) *site {
	t.Helper()
	token := secret.New("a token")
	s := &site{clock: time.Now}
	now := func() time.Time { return s.clock() }
	sim, err := githubsim.New(githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: now, Dir: t.TempDir(), Tokens: []secret.Secret{token},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		t.Fatal(err)
	}
	s.sim = sim
	forge, err := github.New(github.Config{URL: server.URL, Token: token, Backoff: time.Millisecond, Transport: s, Clock: clock.Of(now)})
	if err != nil {
		t.Fatal(err)
	}
	limits := ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}}
	s.Pipeline = pipeline.New(pipeline.Config{
		Forge: forge, Limits: func() ledger.Limits { return limits }, Log: slog.New(slog.DiscardHandler),
		Ledger: ledgertest.NewMemory(&ledgertest.Kept{}, ledgertest.Config{
			Limits: limits, Now: time.Now,
			Emit: func(effects []ledger.Effect) error { s.effects = append(s.effects, effects...); return nil },
		}),
		Vanish: func(_ context.Context, runner ledger.RunnerName) error {
			s.vanished = append(s.vanished, runner)
			return nil
		},
	})
	return s
}

// queue has a job of acme/web queued and the runner that is wanted for it started.
func (s *site) queue(t *testing.T) ledger.RunnerName {
	t.Helper()
	return s.queueAt(t, "acme/web")
}

func (s *site) queueAt(t *testing.T, repository string) ledger.RunnerName {
	t.Helper()
	detail := `{"action":"queued","workflow_job":{"id":7,"run_attempt":1,"labels":["linux"]},"repository":{"full_name":"` + repository + `"},"mayfly":{"pool":"small"}}`
	err := s.Observe(t.Context(), []event.Event{{Time: time.Now(), Detail: json.RawMessage(detail)}})[0]
	if err != nil || len(s.effects) != 1 {
		t.Fatalf("effects %v, %v: want a runner wanted", s.effects, err)
	}
	runner := s.effects[0].(ledger.WantRunner).Runner
	s.effects = nil
	if result, err := s.Ledger.Apply(t.Context(), ledger.Starting{Runner: runner}); err != nil || !result.Granted {
		t.Fatal(result.Reason, err)
	}
	return runner
}

func (s *site) state(t *testing.T, runner ledger.RunnerName) ledger.RunnerState {
	t.Helper()
	list, err := s.Ledger.Runners(t.Context(), ledger.RunnerQuery{Name: runner})
	if err != nil {
		t.Fatal(err)
	}
	return list[0].State
}

// TestClaimAndRemoval takes a runner from its claim to its end.
func TestClaimAndRemoval(t *testing.T) {
	s := open(t)
	runner := s.queue(t)
	permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
	if err != nil || permit.Scope != "acme/web" || !slices.Equal(permit.Labels, []string{"linux"}) {
		t.Fatalf("%+v, %v", permit, err)
	}
	made, err := s.ClaimForge().Register(t.Context(), permit, string(runner))
	if err != nil || made.JIT.IsZero() {
		t.Fatal(made, err)
	}
	if err := s.ClaimLedger("").Registered(t.Context(), string(runner), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimForge().Register(t.Context(), permit, string(runner)); !errors.Is(err, claim.ErrTaken) {
		t.Errorf("registered again: %v: want %v", err, claim.ErrTaken)
	}
	if _, err := s.ClaimLedger("").Claim(t.Context(), string(runner)); !errors.As(err, new(*claim.Refused)) {
		t.Errorf("claimed again: %v: want a refusal", err)
	}
	if err := s.Remove(t.Context(), ledger.RemoveRunner{
		Runner: runner, GitHubID: made.ID, Registered: true, Scope: ledger.Scope{Repository: "acme/web"},
	}); err != nil {
		t.Fatal(err)
	}
	if left := s.sim.Runners(); len(left) != 0 || !slices.Equal(s.vanished, []ledger.RunnerName{runner}) {
		t.Errorf("registrations %v, containers taken away %v: want none and %s", left, s.vanished, runner)
	}
	if state := s.state(t, runner); state != ledger.RunnerGone {
		t.Errorf("the runner is %s: want gone", state)
	}
}

// TestBusyRunnerStays: GitHub has given a runner a job that nobody has told of yet. It refuses to remove the registration,
// so nothing of the runner is taken away, by id and, where the answer to the registration was lost, by name.
func TestBusyRunnerStays(t *testing.T) {
	for _, told := range []bool{true, false} {
		s := open(t)
		runner := s.queue(t)
		permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
		if err != nil {
			t.Fatal(err)
		}
		made, err := s.ClaimForge().Register(t.Context(), permit, string(runner))
		if err != nil {
			t.Fatal(err)
		}
		if !told {
			made.ID = 0
		}
		refusal := fault.Rule{Method: "DELETE", Path: "/repos/*/*/actions/runners/*", Status: 422}
		if _, err := s.sim.Faults().Add(refusal); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), ledger.RemoveRunner{
			Runner: runner, GitHubID: made.ID, Registered: true, Scope: ledger.Scope{Repository: "acme/web"},
		}); err != nil {
			t.Fatal(err)
		}
		if len(s.vanished) != 0 || len(s.sim.Runners()) != 1 {
			t.Errorf("containers taken away %v, registrations %v: want the busy runner left alone", s.vanished, s.sim.Runners())
		}
		if state := s.state(t, runner); state != ledger.RunnerBusy {
			t.Errorf("the runner is %s: want busy", state)
		}
	}
}

// TestLostAnswer: GitHub registered a runner and the answer was lost. When its claim is over its
// registration goes, by its name.
func TestLostAnswer(t *testing.T) {
	s := open(t)
	runner := s.queue(t)
	permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimForge().Register(t.Context(), permit, string(runner)); err != nil { // and nobody hears of it
		t.Fatal(err)
	}
	if _, err := s.Ledger.Apply(t.Context(), ledger.Failed{Runner: runner, Reason: "no answer"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.effects {
		if err := s.Remove(t.Context(), e.(ledger.RemoveRunner)); err != nil {
			t.Fatal(err)
		}
	}
	if left := s.sim.Runners(); len(left) != 0 || len(s.effects) != 1 {
		t.Errorf("effects %v, registrations %v: want one removal that leaves none", s.effects, left)
	}
}

// TestRepositoryOutOfSight: GitHub says 404 to all that is asked of a repository which the credential does not see. The
// runner goes, nothing is asked for that can only get another 404, and the next one is made later.
func TestRepositoryOutOfSight(t *testing.T) {
	s := open(t)
	runner := s.queueAt(t, "acme/not-installed")
	permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimForge().Register(t.Context(), permit, string(runner)); !errors.As(err, new(*claim.Refused)) {
		t.Fatalf("%v: want a refusal", err)
	}
	if len(s.effects) != 1 {
		t.Fatalf("effects %v: want the runner removed", s.effects)
	}
	if err := s.Remove(t.Context(), s.effects[0].(ledger.RemoveRunner)); err != nil {
		t.Errorf("%v: it is asked for again and again", err)
	}
	jobs, err := s.Ledger.Jobs(t.Context(), ledger.JobQuery{})
	if err != nil || jobs[0].Refused != 1 || time.Until(jobs[0].NotBefore) < 30*time.Second || !strings.Contains(jobs[0].LastFailure, "404") {
		t.Errorf("%+v, %v: want the reason, and a pause of a minute", jobs, err)
	}
	if len(s.vanished) != 1 || s.state(t, runner) != ledger.RunnerGone {
		t.Errorf("containers taken away: %v: want the runner's", s.vanished)
	}
}

// TestRegistrationRefused has GitHub refuse a registration in each way there is.
func TestRegistrationRefused(t *testing.T) {
	var later *claim.Later
	var refused *claim.Refused
	for name, test := range map[string]struct {
		rule fault.Rule
		want any // a target of errors.As
	}{
		"rate limit": {fault.Rule{Status: 429, RetryAfter: 30}, &later},
		"not found":  {fault.Rule{Status: 404}, &refused},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			runner := s.queue(t)
			permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
			if err != nil {
				t.Fatal(err)
			}
			test.rule.Path = "/repos/*/*/actions/runners/generate-jitconfig"
			if _, err := s.sim.Faults().Add(test.rule); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ClaimForge().Register(t.Context(), permit, string(runner)); !errors.As(err, test.want) {
				t.Errorf("%v: want %T", err, test.want)
			}
			if leaves := slices.ContainsFunc(s.effects, func(e ledger.Effect) bool { _, ok := e.(ledger.RemoveRunner); return ok }); leaves != (test.want == &refused) {
				t.Errorf("effects %v: a final no removes the runner, a rate limit does not", s.effects)
			}
		})
	}
}

// TestUseless: what cannot be read is not tried again.
func TestUseless(t *testing.T) {
	s := open(t)
	if err := s.Observe(t.Context(), []event.Event{{Detail: json.RawMessage(`{"action":"queued"}`)}})[0]; !errors.Is(err, pipeline.ErrNotProcessable) {
		t.Errorf("a job without an id: %v: want %v", err, pipeline.ErrNotProcessable)
	}
	if _, err := pipeline.EffectOf[ledger.CheckJob](event.Event{Detail: json.RawMessage(`[]`)}); !errors.Is(err, pipeline.ErrNotProcessable) {
		t.Errorf("a list as detail: %v: want %v", err, pipeline.ErrNotProcessable)
	}
}

// TestEffects: what EventOf makes, EffectOf reads.
func TestEffects(t *testing.T) {
	want := ledger.CheckJob{Job: ledger.NewJobKey("acme/web", 7, 1), Reason: "silence", Scope: ledger.Scope{Repository: "Acme/Web"}}
	e, err := pipeline.EventOf(want, time.Now())
	if err != nil || e.DetailType != event.TypeJobUncertain || e.Source != event.SourceMayfly {
		t.Fatal(e, err)
	}
	if got, err := pipeline.EffectOf[ledger.CheckJob](e); err != nil || got != want {
		t.Errorf("%+v, %v: want %+v", got, err, want)
	}
}

// TestCheckLost: a job that GitHub does not know is given up.
func TestCheckLost(t *testing.T) {
	s := open(t)
	s.queue(t)
	key := ledger.NewJobKey("acme/web", 7, 1)
	if err := s.Check(t.Context(), ledger.CheckJob{Job: key, Scope: ledger.Scope{Repository: "acme/web"}}); err != nil {
		t.Fatal(err)
	}
	jobs, err := s.Ledger.Jobs(t.Context(), ledger.JobQuery{Key: key})
	if err != nil || !jobs[0].Settled() {
		t.Errorf("%+v, %v: want it settled", jobs, err)
	}
}
