package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// TestDeployTwice brings a stack up and once more, and reads it.
func TestDeployTwice(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	t.Log(errs)
	if files, commits := w.git.Files("ci-image"); commits != 1 || !slices.Contains(files, "Dockerfile") {
		t.Errorf("%d commits of %q: want one, of the image's source", commits, files)
	}
	if w.builds.Started() != 1 || w.pings.Load() == 0 {
		t.Errorf("%d builds, %d pings: want one build, and a ping", w.builds.Started(), w.pings.Load())
	}
	if got := w.cloud.Secret(t, "ci-webhook"); got != w.secret {
		t.Errorf("webhook secret %q, want the configuration's", got)
	}
	before := w.front.Calls()
	out, errs, code = w.deploy(t)
	w.must(t, out, errs, code)
	after := w.front.Calls()
	for _, call := range []string{"s3:CreateBucket", "s3:PutObject", "cloudformation:ExecuteChangeSet", "secretsmanager:PutSecretValue", "codecommit:CreateCommit", "codebuild:StartBuild"} {
		if after[call] != before[call] || before[call] == 0 {
			t.Errorf("%s: %d calls by the first deploy, %d by the second: want some, and none", call, before[call], after[call]-before[call])
		}
	}
	status := asJSON[statusView](t, w, "status", "--json")
	if !status.Running || !strings.Contains(status.Words, "its rules are on") || len(status.Pools) != 2 {
		t.Errorf("status %+v: want it running, with two pools", status)
	}
	w.provesDelivery(t)
}

// startRunner has the ledger want a runner for a job, and registers it at GitHub, as a
// task would.
func (w *cloudWorld) startRunner(t *testing.T) ledger.Runner {
	t.Helper()
	job := event.WorkflowJob{Action: "queued", ID: 7, RunID: 3, Attempt: 1, Name: "build", Labels: []string{"self-hosted", "small"}, Repository: worldRepository, Created: time.Now()}
	pools := pool.Set{pool.Pool{Name: "small", Labels: job.Labels}.WithDefaults()}
	store := dynamo.Open(w.cloud.Config, dynamo.Config{
		Table: "ci-ledger", Limits: ledger.Limits{Pools: pools, Level: ledger.LevelRepository},
		Emit: func(context.Context, []ledger.Effect) error { return nil },
	})
	if _, err := store.Apply(t.Context(), ledger.JobSeen{Job: job}); err != nil {
		t.Fatal(err)
	}
	runners, err := store.Runners(t.Context(), ledger.RunnerQuery{})
	if err != nil || len(runners) != 1 {
		t.Fatalf("runners %+v, %v: want one", runners, err)
	}
	if _, err := w.forge(t).GenerateJIT(t.Context(), scopeOf(t), github.JITRequest{Name: string(runners[0].Name), Labels: job.Labels}); err != nil {
		t.Fatal(err)
	}
	return runners[0]
}

func (w *cloudWorld) forge(t *testing.T) *github.Client {
	t.Helper()
	c, err := github.New(github.Config{URL: w.simURL, Token: secret.New(w.token)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func scopeOf(t *testing.T) github.Scope {
	t.Helper()
	at, err := github.ParseScope(worldRepository)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestDestroy takes a stack down that has been in use, and once more.
func TestDestroy(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	runner := w.startRunner(t)
	w.schemas.Discover("github.com@Workflow_job", "{}")
	w.schemas.Discover("aws.s3@ObjectCreated", "{}")
	w.cloud.MakeLogGroup(t, "/aws/lambda/ci-webhook") // as Lambda would, after its log group was deleted
	w.cloud.MakeLogGroup(t, "ciphers")                // somebody else's
	if jobs := asJSON[[]jobView](t, w, "jobs", "--json"); len(jobs) != 1 || jobs[0].State != ledger.JobQueued {
		t.Errorf("jobs %+v: want the queued one", jobs)
	}
	if runners := asJSON[[]ledger.Runner](t, w, "runners", "--json"); len(runners) != 1 || runners[0].Name != runner.Name {
		t.Errorf("runners %+v: want %s", runners, runner.Name)
	}
	if _, errs, code := w.run(t, nil, "destroy"); code != 2 || !strings.Contains(errs, "nothing was removed") {
		t.Errorf("without its name: exit code %d, %s", code, errs)
	}
	for range 2 {
		out, errs, code := w.run(t, nil, "destroy", "--yes", "--look", "5ms")
		if w.must(t, out, errs, code); !strings.Contains(out, "nothing else is left of stack ci") {
			t.Errorf("destroyed: %s%s", out, errs)
		}
	}
	if left := w.sim.Runners(); len(left) != 0 {
		t.Errorf("GitHub has runners %+v", left)
	}
	if left := w.schemas.Names(); !slices.Equal(left, []string{"aws.s3@ObjectCreated"}) {
		t.Errorf("schemas %q: want somebody else's", left)
	}
	if left := w.cloud.LogGroups(t); !slices.Equal(left, []string{"ciphers"}) {
		t.Errorf("log groups %q: want somebody else's", left)
	}
}
