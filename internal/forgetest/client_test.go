package forgetest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/gitea"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// TestDemo runs the demo as a person does.
func TestDemo(t *testing.T) {
	t.Parallel()
	b := find(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(b.bin, "mayfly"), "demo", "--forge", "gitea", "--gitea", b.gitea, "--gitea-runner", b.runner).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "jobs: 5, as expected: 5; registrations left: 0") {
		t.Errorf("%v\n%s", err, out)
	}
}

// client is a client of w's Gitea beside mayfly's, and the place where runners are.
func (w *world) client(t *testing.T, token string) (*gitea.Client, forge.Scope) {
	t.Helper()
	c, err := gitea.New(gitea.Config{URL: w.URL, Token: secret.New(token)})
	must(t, err)
	at, err := forge.ParseScope(organization)
	must(t, err)
	return c, at
}

// testRegistry: what is made do for registrations, as forge.Registry promises it.
func testRegistry(t *testing.T, w *world) {
	c, at := w.client(t, w.Token)
	r := forge.Registration{Name: "by-hand-1", Labels: []string{"of-nobody"}}
	made, err := c.Register(t.Context(), at, r)
	must(t, err)
	var file struct {
		ID        int64
		Ephemeral bool
		Labels    []string
	}
	must(t, json.Unmarshal([]byte(made.Config.Reveal()), &file))
	if file.ID != made.RunnerID || !file.Ephemeral || len(file.Labels) != 1 || made.Program != gitea.Program {
		t.Errorf("%+v, %+v: want an ephemeral runner with one label", made, file)
	}
	var token struct{ Token string }
	must(t, w.Call(t.Context(), http.MethodPost, "orgs/"+organization+"/actions/runners/registration-token", nil, &token))
	if strings.Contains(made.Config.Reveal(), token.Token) {
		t.Error("the runner gets the registration token")
	}
	if _, err := c.Register(t.Context(), at, r); !errors.Is(err, forge.ErrConflict) {
		t.Errorf("registered twice: %v: want ErrConflict", err)
	}
	list, err := c.Runners(t.Context(), at)
	if err != nil || len(list) != 1 || list[0].Name != r.Name || list[0].Busy || list[0].Labels[0] != "of-nobody" {
		t.Errorf("%+v, %v: want that runner, idle", list, err)
	}
	must(t, c.ForgetRunner(t.Context(), at, r.Name))
	must(t, c.ForgetRunner(t.Context(), at, r.Name))
	must(t, c.RemoveRunner(t.Context(), at, made.RunnerID))
	if n, err := w.RunnerCount(t.Context(), "orgs/"+organization); n != 0 || err != nil {
		t.Errorf("%d runners, %v: want none", n, err)
	}
}

// testBusy: a runner is not removed while its job runs, also when that has been silent for so
// long that Gitea calls the runner idle.
func testBusy(t *testing.T, w *world) {
	c, at := w.client(t, w.Token)
	repository, sha := w.push(t, "busy", workflow(job("build", "", w.marks.step("busy"), "sleep 20")))
	w.marks.of(t, "busy")
	busy := func() forge.Runner {
		list, err := c.Runners(t.Context(), at)
		if err != nil || len(list) != 1 || !list[0].Busy {
			t.Fatalf("%+v, %v: want one runner, busy", list, err)
		}
		return list[0]
	}
	id := busy().ID
	for range 2 { // it stays closed to jobs, which changes nothing for the one it has
		if err := c.RemoveRunner(t.Context(), at, id); !errors.Is(err, forge.ErrBusy) {
			t.Errorf("removing a busy runner: %v: want ErrBusy", err)
		}
	}
	if r, _ := w.done(t, repository, sha); r.Conclusion != "success" {
		t.Errorf("%+v: want success", r)
	}
	w.quiet(t)
}

// testHooks: webhooks, as forge.Webhooks promises them.
func testHooks(t *testing.T, w *world) {
	c, at := w.client(t, w.Token)
	want := forge.HookConfig{URL: "http://127.0.0.1:1/webhook", Secret: secret.New("one"), Events: []string{"workflow_job", "ping"}}
	first, err := c.InstallWebhook(t.Context(), at, want)
	must(t, err)
	want.Events = []string{"workflow_job", "workflow_run"}
	second, err := c.InstallWebhook(t.Context(), at, want)
	if err != nil || first.ID != second.ID || len(second.Events) != 2 || !second.Active || second.URL != want.URL {
		t.Errorf("%+v, then %+v, %v: want one webhook, changed", first, second, err)
	}
	found, err := c.Webhook(t.Context(), at, want.URL)
	if err != nil || found.ID != first.ID {
		t.Errorf("%+v, %v: want that webhook", found, err)
	}
	if _, err := c.Ping(t.Context(), at, found); !errors.Is(err, forge.ErrByHand) {
		t.Errorf("ping: %v: want ErrByHand", err)
	}
	must(t, c.RemoveWebhook(t.Context(), at, found.ID))
	if _, err := c.Webhook(t.Context(), at, want.URL); !errors.Is(err, forge.ErrNoWebhook) {
		t.Errorf("%v: want ErrNoWebhook", err)
	}
	if err := c.RemoveWebhook(t.Context(), at, found.ID); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("%v: want ErrNotFound", err)
	}
}

// testRefusals: what is not there, or not for this token.
func testRefusals(t *testing.T, w *world) {
	c, at := w.client(t, w.Token)
	must(t, c.Check(t.Context()))
	if _, err := c.Job(t.Context(), organization+"/push", 1<<40, 1); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("a job that is not there: %v", err)
	}
	if _, err := c.QueuedJobs(t.Context(), organization+"/nowhere"); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("jobs of a repository that is not there: %v", err)
	}
	stranger, _ := w.client(t, "0123456789012345678901234567890123456789")
	if err := stranger.Check(t.Context()); !errors.Is(err, forge.ErrUnauthorized) {
		t.Errorf("check with a token of nobody: %v: want ErrUnauthorized", err)
	}
	if _, err := stranger.Register(t.Context(), at, forge.Registration{Name: "x", Labels: []string{"y"}}); !errors.Is(err, forge.ErrUnauthorized) {
		t.Errorf("registering with a token of nobody: %v: want ErrUnauthorized", err)
	}
}
