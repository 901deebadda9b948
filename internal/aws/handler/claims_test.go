package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	clocks "github.com/mayfly-ci/mayfly/internal/clock"
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

// A site is the claim function, with githubsim for GitHub, the plainest ledger, and an
// ECS of which only DescribeTasks is there: moto starts no tasks.
type site struct {
	claims  *handler.Claims
	sim     *githubsim.Sim
	now     time.Time
	tasks   map[string]task // of the cluster "ci"
	asked   int             // how often ECS was asked
	effects []ledger.Effect
	told    []event.Event                   // put on the bus
	commit  func(commit func() error) error // of the ledger; nil: it commits
}

// A task is what ECS tells of one.
type task struct {
	family string
	env    map[string]string
}

// id makes a task's id of one digit.
func id(digit string) string { return strings.Repeat(digit, 32) }

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Cluster string
		Tasks   []string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "AmazonEC2ContainerServiceV20141113.DescribeTasks" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.asked++
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	t, ok := s.tasks[in.Tasks[0]]
	if !ok || in.Cluster != "ci" {
		io.WriteString(w, `{"tasks":[],"failures":[{"reason":"MISSING"}]}`)
		return
	}
	var env []map[string]string
	for name, value := range t.env {
		env = append(env, map[string]string{"name": name, "value": value})
	}
	answer := map[string]any{
		"taskArn":           "arn:aws:ecs:eu-west-1:123456789012:task/ci/" + in.Tasks[0],
		"taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/" + t.family + ":3",
		"overrides":         map[string]any{"containerOverrides": []any{map[string]any{"name": "runner", "environment": env}}},
	}
	json.NewEncoder(w).Encode(map[string]any{"tasks": []any{answer}})
}

func open(t *testing.T) *site {
	t.Helper()
	token := secret.New("a token")
	s := &site{now: time.Now(), tasks: map[string]task{}}
	sim, err := githubsim.New(githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: t.TempDir(), Tokens: []secret.Secret{token},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sim = sim
	hub, cloud := httptest.NewServer(sim), httptest.NewServer(s)
	t.Cleanup(func() {
		hub.Close()
		cloud.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return s.now }
	forge, err := github.New(github.Config{URL: hub.URL, Token: token, Backoff: time.Millisecond, Clock: clocks.Of(clock)})
	if err != nil {
		t.Fatal(err)
	}
	limits := ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}, Max: 1}.WithDefaults()}}
	env := map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": cloud.URL}
	s.claims = &handler.Claims{
		Pipeline: pipeline.New(pipeline.Config{
			Forge: forge, Limits: func() ledger.Limits { return limits }, Log: slog.New(slog.DiscardHandler), Now: clock,
			Ledger: ledgertest.NewMemory(&ledgertest.Kept{}, ledgertest.Config{
				Limits: limits, Now: clock,
				Commit: func(commit func() error) error {
					if s.commit != nil {
						return s.commit(commit)
					}
					return commit()
				},
				Emit: func(effects []ledger.Effect) error { s.effects = append(s.effects, effects...); return nil },
			}),
		}),
		Tasks:   handler.NewTasks(ecs.NewFromConfig(function.Config(func(name string) string { return env[name] })), "ci", "ci"),
		Publish: func(_ context.Context, list ...event.Event) error { s.told = append(s.told, list...); return nil }, Now: clock,
		Roles: []string{"AROAONE", "AROATWO"}, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

// queue has a job queued, and returns the runner that the ledger wants for it.
func (s *site) queue(t *testing.T, job int) ledger.RunnerName {
	t.Helper()
	detail := fmt.Sprintf(`{"action":"queued","workflow_job":{"id":%d,"run_attempt":1,"labels":["linux"]},"repository":{"full_name":"acme/web"},"mayfly":{"pool":"small"}}`, job)
	if err := s.claims.Pipeline.Observe(t.Context(), []event.Event{{Time: s.now, Detail: json.RawMessage(detail)}})[0]; err != nil {
		t.Fatal(err)
	}
	return s.effects[len(s.effects)-1].(ledger.WantRunner).Runner
}

// run has a task started for a runner, as the rule of the pool does.
func (s *site) run(digit string, runner ledger.RunnerName) {
	s.tasks[id(digit)] = task{"ci-small", env(runner)}
}

// call makes a call as a session of a role, and returns its status and body.
func (s *site) call(t *testing.T, user, path, body string) (int, string) {
	t.Helper()
	res := s.answer(t, user, path, body)
	return res.StatusCode, strings.TrimSpace(res.Body)
}

func (s *site) answer(t *testing.T, user, path, body string) events.LambdaFunctionURLResponse {
	t.Helper()
	e := events.LambdaFunctionURLRequest{RawPath: path, Body: body}
	e.RequestContext.HTTP.Method = "POST"
	if user != "" {
		e.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
			IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{UserID: user, UserARN: "arn:aws:sts::123456789012:assumed-role/" + user},
		}
	}
	res, err := function.Serve(s.claims)(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestClaimByTask(t *testing.T) {
	s := open(t)
	runner := s.queue(t, 7)
	s.run("1", runner)
	s.run("2", runner) // of a doubled event
	s.tasks[id("5")] = task{"ci-small", nil}
	s.tasks[id("6")] = task{"other-small", env(runner)}
	s.tasks[id("7")] = task{"ci-large", env(runner)}
	s.run("8", "nobody")
	for _, step := range []struct {
		who, path, body string
		status          int
		answer          string
	}{
		{"", "/claim", "", 403, "not signed"},
		{"AROATHREE:" + id("1"), "/claim", "", 403, "is no task of this stack"},
		{"AROAONE:somebody", "/claim", "", 403, "is no task of this stack"},
		{"AIDAUSER", "/claim", "", 403, "is no task of this stack"},
		{"AROAONE:" + id("0"), "/claim", "", 403, "is none of the cluster ci"},
		{"AROAONE:" + id("5"), "/claim", "", 403, "MAYFLY_RUNNER is not set"},
		{"AROAONE:" + id("6"), "/claim", "", 403, "its family other-small is none of the stack ci"},
		{"AROAONE:" + id("7"), "/claim", "", 403, "is of the pool small, and task"},
		{"AROAONE:" + id("8"), "/claim", "", 403, "runner nobody is not in the ledger"},
		{"AROAONE:" + id("1"), "/report", `{"phase":"idle"}`, 403, "is another task"},
		{"AROAONE:" + id("1"), "/claim", "", 200, "encoded_jit_config"},
		{"AROAONE:" + id("1"), "/claim", "", 403, "has claimed before"},
		{"AROATWO:" + id("2"), "/claim", "", 403, "runner"},
		{"AROATWO:" + id("2"), "/report", `{"phase":"busy"}`, 403, "is another task"},
		{"AROAONE:" + id("1"), "/report", `{"phase":"idle"}`, 204, ""},
		{"AROAONE:" + id("1"), "/elsewhere", "", 404, ""},
	} {
		status, answer := s.call(t, step.who, step.path, step.body)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Errorf("%s by %s: %d %s, want %d %s", step.path, step.who, status, answer, step.status, step.answer)
		}
	}
	want := fmt.Sprintf(`{"runner":%q,"task":%q,"phase":"idle"}`, runner, id("1"))
	if len(s.told) != 1 || s.told[0].DetailType != contract.TypeRunnerReported || string(s.told[0].Detail) != want {
		t.Errorf("told %v: want %s, for the ledger", s.told, want)
	}
	if runners := s.sim.Runners(); len(runners) != 1 {
		t.Errorf("GitHub has the runners %+v, want one", runners)
	}
	if want := 7; s.asked != want { // nobody of another role, and each task once
		t.Errorf("ECS was asked %d times, want %d", s.asked, want)
	}
}

// TestRateLimitedClaim has GitHub limit a claim: the agent is told when to come again, and is
// granted its claim then, once. Each call has a handler of its own, as calls of a function have. A
// function that ends before the ledger has its word leaves a lease that runs out.
func TestRateLimitedClaim(t *testing.T) {
	fails := errors.New("the function ends")
	for name, test := range map[string]struct {
		commit  func(commit func() error) error // of the ledger's turn after GitHub's answer
		granted time.Duration                   // after the first claim
		tooSoon map[time.Duration]string        // Retry-After of claims before that
	}{
		"put off":                    {nil, 7 * time.Second, map[time.Duration]string{0: "7", 5 * time.Second: "2", 6500 * time.Millisecond: "1"}},
		"crash before it is put off": {func(func() error) error { return fails }, time.Minute, map[time.Duration]string{0: "7", 7 * time.Second: "53"}},
		"crash after it was put off": {func(commit func() error) error { return errors.Join(commit(), fails) }, 7 * time.Second, map[time.Duration]string{0: "7"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.run("1", s.queue(t, 7))
			limit := fault.Rule{Method: "POST", Path: "/repos/*/*/actions/runners/generate-jitconfig", Status: 429, RetryAfter: 7, Count: 1}
			if _, err := s.sim.Faults().Add(limit); err != nil {
				t.Fatal(err)
			}
			begin, turns := s.now, 0
			s.commit = func(commit func() error) error {
				if turns++; turns == 2 && test.commit != nil { // the first is the grant
					return test.commit(commit)
				}
				return commit()
			}
			for _, after := range slices.Sorted(maps.Keys(test.tooSoon)) {
				s.now = begin.Add(after)
				res := s.answer(t, "AROAONE:"+id("1"), "/claim", "")
				if res.StatusCode != 503 || res.Headers["Retry-After"] != test.tooSoon[after] {
					t.Errorf("after %s: %d, Retry-After %q: want 503, %s", after, res.StatusCode, res.Headers["Retry-After"], test.tooSoon[after])
				}
			}
			s.now = begin.Add(test.granted)
			for _, want := range []int{200, 403} { // a configuration is given once
				if res := s.answer(t, "AROAONE:"+id("1"), "/claim", ""); res.StatusCode != want {
					t.Errorf("after %s: %d %s: want %d", test.granted, res.StatusCode, res.Body, want)
				}
			}
			if runners := s.sim.Runners(); len(runners) != 1 {
				t.Errorf("GitHub has the runners %+v, want one", runners)
			}
		})
	}
}

// TestECSAway has an ECS that is out of reach.
func TestECSAway(t *testing.T) {
	s := open(t)
	env := map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
	config := function.Config(func(name string) string { return env[name] })
	config.RetryMaxAttempts = 1
	s.claims.Tasks = handler.NewTasks(ecs.NewFromConfig(config), "ci", "ci")
	if status, answer := s.call(t, "AROAONE:"+id("1"), "/claim", ""); status != 503 || strings.Contains(answer, "127.0.0.1") {
		t.Errorf("%d %s: want 503, and nothing of why", status, answer)
	}
}
