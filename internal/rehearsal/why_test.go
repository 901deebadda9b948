package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/inspect/local"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A stage is a whole Mayfly on which something is wrong, and what mayfly why reads of it.
type stage struct {
	*testing.T
	*rehearsal.Rehearsal
	from       *inspect.Source
	repository string
}

var hookSecret = secret.New("a secret that is long enough for all")

func newStage(t *testing.T, pools ...pool.Pool) *stage {
	t.Helper()
	if len(pools) == 0 {
		pools = pool.Set{{Name: "small", Labels: []string{"linux", "small"}}}
	}
	for i := range pools {
		if pools[i].Resources == (pool.Resources{}) {
			pools[i].Resources = pool.Resources{CPUs: 0.1, Memory: 64 << 20}
		}
	}
	r, err := rehearsal.Open(t.Context(), rehearsal.Config{
		Launcher: machine.Sandbox, State: t.TempDir(), Listen: "127.0.0.1:0", Repository: repository, Log: slog.New(slog.DiscardHandler),
		Secret: hookSecret, Pools: pools, Progress: func(string, ...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(r.State(), machine.DatabaseName)
	db, err := local.OpenDatabase(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, Rehearsal: r, from: local.New(db, path, nil), repository: repository}
	t.Cleanup(func() { s.from.Close() })
	return s
}

// push pushes a workflow of jobs, each a name and the rest of it.
func (s *stage) push(jobs ...string) {
	s.Helper()
	text := "on: push\njobs:\n"
	for i, job := range jobs {
		text += fmt.Sprintf("  job%d:\n    %s\n", i, strings.ReplaceAll(job, "; ", "\n    "))
	}
	if _, err := s.Sim.Push(githubsim.Push{Repository: s.repository, Message: "x", Files: map[string]string{".github/workflows/x.yml": text}}); err != nil {
		s.Fatal(err)
	}
}

const quick = "runs-on: small; steps: [{run: 'true'}]"

// fails has calls of a path be answered with a status from now on.
func (s *stage) fails(path string, status int) {
	s.Helper()
	if _, err := s.Sim.Faults().Add(fault.Rule{Path: path, Status: status, RetryAfter: map[bool]int{true: 600}[status == http.StatusTooManyRequests]}); err != nil {
		s.Fatal(err)
	}
}

const jitCall = "/repos/*/*/actions/runners/generate-jitconfig"

// changeHook changes the webhook at the simulator.
func (s *stage) changeHook(secretText string, events ...string) {
	s.Helper()
	scope, _ := forge.ParseScope(repository)
	if _, err := s.Forge().InstallWebhook(s.Context(), scope, forge.HookConfig{URL: s.HookURL(), Secret: secret.New(secretText), Events: events}); err != nil {
		s.Fatal(err)
	}
}

// TestWhy brings each cause about by a real fault, and reads the answer as mayfly why does.
func TestWhy(t *testing.T) {
	// In each, the answer is about the last job that was pushed.
	for _, c := range []struct {
		cause why.Cause
		text  string // in the answer
		pools []pool.Pool
		do    func(s *stage)
	}{
		{why.Done, "completed: success on", nil, func(s *stage) { s.push(quick) }},
		{why.Running, "running on", nil, func(s *stage) { s.push("runs-on: small; steps: [{run: sleep 60}]") }},
		{why.Hosted, "GitHub-hosted runners take it", nil, func(s *stage) { s.push("runs-on: macos-15; steps: [{run: 'true'}]") }},
		{why.NoPool, "no pool takes", nil, func(s *stage) { s.push("runs-on: gpu; steps: [{run: 'true'}]") }},
		{why.OtherRepository, "does not serve repository acme/web", []pool.Pool{{Name: "other", Labels: []string{"small"}, Repositories: []string{"acme/other"}}}, func(s *stage) { s.push(quick) }},
		{why.PoolFull, "pool small is full: 1 of 1; it is number 1 of 1", []pool.Pool{{Name: "small", Labels: []string{"small"}, Max: 1}},
			func(s *stage) {
				s.push("runs-on: small; steps: [{run: sleep 60}]")
				s.until(why.Running)
				s.push(quick)
			}},
		{why.HostSmall, "host is too small", []pool.Pool{{Name: "small", Labels: []string{"small"}, Resources: pool.Resources{CPUs: 4000, Memory: 1 << 30}}}, func(s *stage) { s.push(quick) }},
		{why.Waits, "GitHub holds it back", nil, func(s *stage) {
			s.repository = "acme/gate"
			_, err := s.Sim.AddWebhook(githubsim.Webhook{Organization: "acme", URL: s.HookURL(), Secret: hookSecret, Events: []string{"workflow_job"}})
			if err := errors.Join(err, s.Sim.CreateRepository(githubsim.Repository{Name: s.repository, Protected: []string{"production"}})); err != nil {
				s.Fatal(err)
			}
			s.push("runs-on: small; environment: production; steps: [{run: 'true'}]")
		}},
		{why.Unauthorized, "(401)", nil, func(s *stage) { s.fails(jitCall, 401); s.push(quick) }},
		{why.Forbidden, "(403)", nil, func(s *stage) { s.fails(jitCall, 403); s.push(quick) }},
		{why.NoPlace, "(404)", nil, func(s *stage) { s.fails(jitCall, 404); s.push(quick) }},
		{why.Unprocessable, "(422)", nil, func(s *stage) { s.fails(jitCall, 422); s.push(quick) }},
		{why.RateLimited, "rate limit", nil, func(s *stage) { s.fails(jitCall, 429); s.push(quick) }},
		{why.ForgeFails, "503", nil, func(s *stage) { s.fails(jitCall, 503); s.push(quick) }},
		{why.NameTaken, "registered", nil, func(s *stage) {
			s.fails(jitCall, 409)
			s.push(quick)
		}},
	} {
		t.Run(string(c.cause), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.pools...)
			c.do(s)
			if story := s.until(c.cause); !strings.Contains(story.Text, c.text) || story.Fix == "" {
				t.Errorf("%s\nfix: %s\nwant %q in it", story.Text, story.Fix, c.text)
			}
		})
	}
}

// until waits until the newest job has a cause, and returns its story.
func (s *stage) until(cause why.Cause) (story *inspect.Story) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute)
	defer cancel()
	for {
		jobs, err := s.from.Ledger.Jobs(ctx, ledger.JobQuery{Limit: 1})
		if err == nil && len(jobs) > 0 {
			if story, err = s.from.Why(ctx, jobs[0].Key, time.Now()); err == nil && story.Cause == cause {
				return story
			}
		}
		select {
		case <-ctx.Done():
			s.Fatalf("the newest job of %d: %+v, %v: want the cause %s", len(jobs), story, err, cause)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestWhyUntold is about jobs that Mayfly was not told of.
func TestWhyUntold(t *testing.T) {
	scope, _ := forge.ParseScope(repository)
	for _, c := range []struct {
		cause why.Cause
		text  string
		do    func(s *stage)
	}{
		{why.SecretWrong, "was refused (401)", func(s *stage) { s.changeHook("not the secret of mayfly", "workflow_job"); s.push(quick) }},
		{why.HookEvents, "sends push, and not workflow_job", func(s *stage) { s.changeHook("whatever it is, it is long", "push"); s.push(quick) }},
		{why.HookRemoved, "has no webhook that sends to", func(s *stage) {
			h, err := s.Forge().Webhook(s.Context(), scope, s.HookURL())
			if err := errors.Join(err, s.Forge().RemoveWebhook(s.Context(), scope, h.ID)); err != nil {
				s.Fatal(err)
			}
			s.push(quick)
		}},
		{why.DeliveryLost, "did not reach mayfly", func(s *stage) { s.Sim.SetDeliveryFaults(hook.Faults{Lose: 1}); s.push(quick) }},
		{why.Unauthorized, "could not be asked", func(s *stage) {
			s.Sim.SetDeliveryFaults(hook.Faults{Lose: 1})
			s.push(quick)
			s.fails("/repos/*/*/actions/jobs/*", 401)
		}},
		{why.ForgeFails, "could not be asked", func(s *stage) {
			s.Sim.SetDeliveryFaults(hook.Faults{Lose: 1})
			s.push(quick)
			s.fails("/repos/*/*/actions/jobs/*", 500)
		}},
	} {
		t.Run(string(c.cause), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			c.do(s)
			job := s.queued()
			at := inspect.HookPlace{At: scope, URL: s.HookURL(), Command: "mayfly webhook install"}
			var story *inspect.Story
			for end := time.Now().Add(time.Minute); ; { // the delivery may be under way
				var err error
				if story, err = s.from.Inquire(t.Context(), s.Forge(), at, ledger.NewJobKey(repository, job.ID, 1), time.Now()); err != nil {
					t.Fatal(err)
				}
				if story.Cause == c.cause || time.Now().After(end) {
					break
				}
				<-time.After(50 * time.Millisecond)
			}
			if story.Cause != c.cause || !strings.Contains(story.Text, c.text) || story.Fix == "" {
				t.Errorf("%s: %s\nfix: %s\nwant %s, and %q in it", story.Cause, story.Text, story.Fix, c.cause, c.text)
			}
		})
	}
	t.Run(string(why.NoJob), func(t *testing.T) {
		s := newStage(t)
		story, err := s.from.Inquire(t.Context(), s.Forge(), inspect.HookPlace{}, ledger.NewJobKey(repository, 1<<40, 1), time.Now())
		if err != nil || story.Cause != why.NoJob {
			t.Errorf("%+v, %v", story, err)
		}
		if story, err = s.from.Inquire(t.Context(), nil, inspect.HookPlace{}, ledger.NewJobKey(repository, 1<<40, 1), time.Now()); err != nil || story.Cause != why.NotAsked {
			t.Errorf("%+v, %v", story, err)
		}
	})
}

// queued returns the job at the simulator once it is queued.
func (s *stage) queued() githubsim.Job {
	s.Helper()
	jobs := s.Sim.Jobs()
	i := slices.IndexFunc(jobs, func(j githubsim.Job) bool { return j.Status == githubsim.StatusQueued })
	if i < 0 {
		s.Fatalf("no job is queued: %+v", jobs)
	}
	return jobs[i]
}
