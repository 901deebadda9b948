package pipeline_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const oneJob = "on: push\njobs:\n  build:\n    runs-on: [linux]\n    steps: [{run: 'true'}]\n"

// pushTo makes a repository, unless it is there, and queues a job in it, of which nobody tells the ledger.
func (s *site) pushTo(t *testing.T, repository string) {
	t.Helper()
	_ = s.sim.CreateRepository(githubsim.Repository{Name: repository}) // it may be there
	if _, err := s.sim.Push(githubsim.Push{Repository: repository, Files: map[string]string{".github/workflows/ci.yml": oneJob}}); err != nil {
		t.Fatal(err)
	}
}

// found returns the repositories of the jobs in the ledger.
func (s *site) found(t *testing.T) (names []string) {
	t.Helper()
	jobs, err := s.Ledger.Jobs(t.Context(), ledger.JobQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		names = append(names, j.Scope.Repository)
		if j.State != ledger.JobQueued || j.Scope.Organization != "acme" {
			t.Errorf("%+v: want it queued, of the organization", j)
		}
	}
	slices.Sort(names)
	return names
}

// TestSweepFindsQuietRepositories: jobs of repositories from which nothing was ever heard are found, and
// one that cannot be asked keeps no other from it.
func TestSweepFindsQuietRepositories(t *testing.T) {
	s := open(t)
	s.HookAt = "acme"
	for _, name := range []string{"acme/a", "acme/b", "acme/c", "other/d"} {
		s.pushTo(t, name)
	}
	if _, err := s.sim.Faults().Add(fault.Rule{Path: "/repos/acme/b/actions/runs", Status: 404}); err != nil {
		t.Fatal(err)
	}
	if err := s.CompareJobs(t.Context()); err == nil || !strings.Contains(err.Error(), "acme/b") {
		t.Errorf("%v: want an error about acme/b", err)
	}
	if got := s.found(t); !slices.Equal(got, []string{"acme/a", "acme/c"}) {
		t.Errorf("jobs of %q: want those under the webhook that could be asked about", got)
	}
	if len(s.effects) != 2 {
		t.Errorf("effects %v: want a runner for each", s.effects)
	}
}

// TestSweepOfOneRepository: the webhook of a repository tells of that alone.
func TestSweepOfOneRepository(t *testing.T) {
	s := open(t)
	s.HookAt = "acme/web"
	s.pushTo(t, "acme/web")
	s.pushTo(t, "acme/other")
	if err := s.CompareJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	jobs, err := s.Ledger.Jobs(t.Context(), ledger.JobQuery{})
	if err != nil || len(jobs) != 1 || jobs[0].Scope.Repository != "acme/web" {
		t.Errorf("%+v, %v: want the job of acme/web", jobs, err)
	}
}

// TestSweepIsBounded: a look takes a hundred calls at most, and in a few looks each repository had its turn.
func TestSweepIsBounded(t *testing.T) {
	s := open(t)
	s.HookAt = "acme"
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	const repositories = 230
	for i := range repositories {
		if err := s.sim.CreateRepository(githubsim.Repository{Name: fmt.Sprintf("acme/r%03d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	s.pushTo(t, "acme/r000") // the oldest of all once the others were pushed to
	asked := map[string]bool{}
	calls := 0
	s.called = func(r *http.Request) {
		calls++
		if strings.HasSuffix(r.URL.Path, "/actions/runs") {
			asked[r.URL.Path] = true
		}
	}
	for range 12 {
		calls = 0
		if err := s.CompareJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if calls > 100 {
			t.Errorf("%d calls in a look: want at most 100", calls)
		}
		now = now.Add(5 * time.Minute)
	}
	if len(asked) < repositories {
		t.Errorf("%d of %d repositories were asked about in an hour", len(asked), repositories)
	}
}

// TestSweepStopsAtRateLimit, and at once.
func TestSweepStopsAtRateLimit(t *testing.T) {
	s := open(t)
	s.HookAt = "acme"
	for _, name := range []string{"acme/a", "acme/b", "acme/c"} {
		s.pushTo(t, name)
	}
	if _, err := s.sim.Faults().Add(fault.Rule{Path: "/repos/*/*/actions/runs", Status: 429, RetryAfter: 60}); err != nil {
		t.Fatal(err)
	}
	calls := 0
	s.called = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/actions/runs") {
			calls++
		}
	}
	if err := s.CompareJobs(t.Context()); err == nil || calls != 1 {
		t.Errorf("%v after %d calls: want a rate limit after one", err, calls)
	}
}

// failingHook makes a webhook of acme/web each of whose deliveries fails, and returns its id.
func (s *site) failingHook(t *testing.T) int64 {
	t.Helper()
	ends := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }))
	t.Cleanup(ends.Close)
	hook, err := s.sim.AddWebhook(githubsim.Webhook{Repository: "acme/web", URL: ends.URL + "/webhook", Secret: secret.New("s"), Events: []string{"workflow_job"}})
	if err != nil {
		t.Fatal(err)
	}
	s.HookAt, s.HookURL = "acme/web", ends.URL+"/webhook"
	return hook
}

// TestRedeliverGoesOn: a delivery that GitHub refuses to send again keeps no other from it, and is left after some refusals.
func TestRedeliverGoesOn(t *testing.T) {
	s := open(t)
	now := time.Now()
	s.Now = func() time.Time { return now }
	hook := s.failingHook(t)
	s.pushTo(t, "acme/web")
	s.pushTo(t, "acme/web")
	if err := s.sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	bad := s.sim.Deliveries(hook)[0].ID
	if _, err := s.sim.Faults().Add(fault.Rule{Method: "POST", Path: fmt.Sprintf("/repos/acme/web/hooks/*/deliveries/%d/attempts", bad), Status: 422}); err != nil {
		t.Fatal(err)
	}
	posts := map[string]int{}
	s.called = func(r *http.Request) {
		if r.Method == http.MethodPost {
			posts[r.URL.Path]++
		}
	}
	refusals := 0
	for range 6 {
		if err := s.Redeliver(t.Context(), time.Hour); err != nil {
			refusals++
		}
		now = now.Add(2 * time.Hour)
	}
	if refusals != 2 || len(posts) < 2 {
		t.Errorf("%d looks had an error, asked for %v: want two before the delivery is left, and the other one asked for, too", refusals, posts)
	}
	for path, n := range posts {
		if strings.Contains(path, fmt.Sprint(bad)) && n != 3 {
			t.Errorf("%s: asked for %d times: want 3", path, n)
		}
	}
}

// TestRedeliverListsOnce: deliveries that could not be asked for are remembered, and not listed again with all
// that came since.
func TestRedeliverListsOnce(t *testing.T) {
	s := open(t)
	now := time.Now()
	s.Now = func() time.Time { return now }
	hook := s.failingHook(t)
	at, err := github.ParseScope("acme/web")
	if err != nil {
		t.Fatal(err)
	}
	const failed = 120 // on two pages
	for range failed {
		if err := s.Forge.(*github.Client).PingWebhook(t.Context(), at, hook); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sim.Faults().Add(fault.Rule{Method: "POST", Path: "/repos/acme/web/hooks/*/deliveries/*/attempts", Status: 503}); err != nil {
		t.Fatal(err)
	}
	var pages, asked []int
	s.called = func(r *http.Request) {
		switch last := len(pages) - 1; {
		case r.Method == http.MethodPost:
			asked[last]++
		case strings.HasSuffix(r.URL.Path, "/deliveries"):
			pages[last]++
		}
	}
	for range 3 {
		pages, asked = append(pages, 0), append(asked, 0)
		if err := s.Redeliver(t.Context(), time.Hour); err == nil {
			t.Error("no error: want one for each that could not be asked for")
		}
		now = now.Add(2 * time.Hour)
	}
	if want := []int{2, 2, 1}; !slices.Equal(pages, want) || !slices.Equal(asked, []int{50, 50, 50}) {
		t.Errorf("%v pages were read, %v deliveries asked for: want %v, and no more than a look's budget", pages, asked, want)
	}
}
