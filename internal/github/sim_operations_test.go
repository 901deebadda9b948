package github_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// bodies are what operations need that take one, by the end of their path.
var bodies = map[string]string{
	"POST generate-jitconfig": `{"name":"%s","runner_group_id":1,"labels":["linux"]}`,
	"POST runner-groups":      `{"name":"group"}`,
	"POST labels":             `{"labels":["more"]}`,
	"PUT labels":              `{"labels":["other","more"]}`,
	"POST hooks":              `{"name":"web","config":{"url":"http://127.0.0.1:1/other","content_type":"json"},"events":["push"]}`,
	"PATCH {hook_id}":         `{"active":false}`,
	"PATCH config":            `{"url":"http://127.0.0.1:1/changed"}`,
	"POST access_tokens":      `{}`,
	"POST trees":              `{"tree":[{"path":"a.txt","mode":"100644","type":"blob","content":"x"}]}`,
	"POST commits":            `{"message":"m","tree":"{tree}","parents":[]}`,
	"POST refs":               `{"ref":"refs/heads/made","sha":"{sha}"}`,
}

// notSimulated are operations that githubsim does not offer, with the reason.
var notSimulated = map[string]string{
	"GET /repos/{owner}/{repo}/releases/latest": "only that of actions/runner",
	"GET /installation/repositories":            "for the token of an installation only: TestSimRepositories",
}

// ofWorkflows are operations of a workflow's life and of who may use what, which no
// client here calls. The tests of githubsim make them, before the same judge.
var ofWorkflows = regexp.MustCompile(`pending_deployments|force-cancel|/rerun|/dispatches|/variables|/environments|/annotations|/transfer|{runner_group_id}|^PATCH /repos/{owner}/{repo}$`)

// TestSimHasEveryOperation makes each call of GitHub's description that scaling
// uses once, with what it names there; the judge looks at the answers.
func TestSimHasEveryOperation(t *testing.T) {
	var removals []string // go last
	w := newOperations(t)
	for _, op := range openapi.Operations() {
		switch {
		case notSimulated[op] != "", ofWorkflows.MatchString(op):
		case strings.HasPrefix(op, "DELETE"):
			removals = append(removals, op)
		default:
			w.call(t, op)
		}
	}
	// The label before all labels, and these before the runner that has them.
	slices.SortStableFunc(removals, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, op := range removals {
		w.call(t, op)
	}
}

// TestSimRepositories lists repositories as each credential does.
func TestSimRepositories(t *testing.T) {
	sim := simulate(t)
	for name, ask := range map[string]func() ([]github.Repository, error){
		"organization": func() ([]github.Repository, error) {
			return sim.client(t).Repositories(t.Context(), scope(t, "acme"), 0)
		},
		"token of an enterprise": func() ([]github.Repository, error) {
			return sim.client(t).Repositories(t.Context(), scope(t, "enterprises/corp"), 0)
		},
		"App": func() ([]github.Repository, error) {
			return sim.client(t, asApp).Repositories(t.Context(), github.AppScope(), 0)
		},
	} {
		list, err := ask()
		if err != nil || !slices.Contains(list, github.Repository{Name: "acme/web", Organization: "acme"}) {
			t.Errorf("%s: %v, %v: want acme/web among them", name, list, err)
		}
	}
}

// operations knows what the paths of the description name in one simulation.
type operations struct {
	sim   simulated
	names map[string]map[string]string // path parameters by the first segment of the path
	made  int
	live  string // id of a run that is not over
}

func newOperations(t *testing.T) *operations {
	sim := simulate(t)
	c, ctx := sim.client(t), t.Context()
	sim.OfferApp("the-code", githubsim.AppManifest{App: githubsim.App{ID: 9, Slug: "made"}, PEM: "PEM"})
	runs, err := sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/ci.yml": workflow}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.CancelRun(runs[0].ID); err != nil {
		t.Fatal(err)
	}
	sha, err := c.CreateBranch(ctx, "acme/web", "mayfly-test", "try", map[string]string{"a.txt": "x"}) // which is the tree below
	if err != nil {
		t.Fatal(err)
	}
	w := &operations{sim: sim, names: map[string]map[string]string{}}
	for first, where := range map[string]string{"repos": "acme/web", "orgs": "acme", "enterprises": "enterprises/corp"} {
		jit, err := c.Register(ctx, scope(t, where), jitRequest(0))
		if err != nil {
			t.Fatal(err)
		}
		w.names[first] = map[string]string{
			"owner": "acme", "repo": "web", "org": "acme", "enterprise": "corp", "runner_id": fmt.Sprint(jit.RunnerID), "name": "more",
			"ref": "heads/mayfly-test", "sha": sha, "tree": "9375a50d54bf5374615a3378349e298761a4b116",
			"run_id": fmt.Sprint(runs[0].ID), "job_id": fmt.Sprint(sim.Jobs()[0].ID), "attempt_number": "1", "version": githubsim.DefaultRunnerVersion,
		}
		if first == "enterprises" {
			continue
		}
		config := github.HookConfig{URL: "http://127.0.0.1:1/hook", Secret: secret.New("s"), Events: []string{"workflow_job"}}
		hook, err := c.InstallWebhook(ctx, scope(t, where), config)
		if err != nil {
			t.Fatal(err)
		}
		w.names[first]["hook_id"] = fmt.Sprint(hook.ID)
		if err := sim.WaitDelivered(ctx); err != nil { // the ping
			t.Fatal(err)
		}
		w.names[first]["delivery_id"] = fmt.Sprint(sim.Deliveries(hook.ID)[0].ID)
	}
	w.names["app-manifests"] = map[string]string{"code": "the-code"}
	w.names["users"] = map[string]string{"username": "acme"}
	app := sim.client(t, asApp)
	job, err := app.Job(ctx, "acme/web", sim.Jobs()[0].ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.names["app"] = map[string]string{"installation_id": fmt.Sprint(job.Installation), "delivery_id": w.appDelivery(t, app)}
	return w
}

// appDelivery gives the id of a delivery of the App's webhook.
func (w *operations) appDelivery(t *testing.T, app *github.Client) string {
	config := github.HookConfig{URL: "http://127.0.0.1:1/app", Secret: secret.New("s"), Events: []string{"workflow_job"}}
	if _, err := app.InstallWebhook(t.Context(), github.AppScope(), config); err != nil {
		t.Fatal(err)
	}
	runs, err := w.sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/ci.yml": workflow}})
	if err != nil {
		t.Fatal(err)
	}
	w.live = fmt.Sprint(runs[0].ID)
	if err := w.sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed, err := app.FailedDeliveries(t.Context(), github.AppScope(), 0, time.Time{})
	if err != nil || len(failed) == 0 {
		t.Fatalf("deliveries of the App: %v, %v", failed, err)
	}
	return fmt.Sprint(failed[0].ID)
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// call makes the call op, such as "GET /app", and wants a 2xx.
func (w *operations) call(t *testing.T, op string) {
	t.Helper()
	method, template, _ := strings.Cut(op, " ")
	segments := strings.Split(template, "/")
	names := w.names[segments[1]]
	if strings.HasSuffix(template, "/cancel") { // the other run is over, so that it can be deleted
		names = map[string]string{"owner": "acme", "repo": "web", "run_id": w.live}
	}
	path := parameter.ReplaceAllStringFunc(template, func(p string) string { return names[p[1:len(p)-1]] })
	body := bodies[method+" "+segments[len(segments)-1]]
	body = parameter.ReplaceAllStringFunc(body, func(p string) string { return names[p[1:len(p)-1]] })
	if strings.Contains(body, "%s") {
		w.made++
		body = fmt.Sprintf(body, fmt.Sprintf("made%d", w.made))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.sim.URL+"/api/v3"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+authorization(t, template))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode/100 != 2 {
		t.Errorf("%s (%s): %s %s", op, path, res.Status, answer)
	}
}

// authorization is the App's signature where the App itself asks, and else the token.
func authorization(t *testing.T, template string) string {
	if !strings.HasPrefix(template, "/app") && !strings.HasSuffix(template, "/installation") {
		return testToken
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: fmt.Sprint(appID), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	}).SignedString(appKey())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
