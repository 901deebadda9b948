package pipeline_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// TestImageNews: what the life of a runner tells of its image.
func TestImageNews(t *testing.T) {
	const digest = "sha256:a"
	claimed := func(r ledger.RunnerName) []ledger.Input {
		return []ledger.Input{ledger.Started{Runner: r}, ledger.Claim{Runner: r}, ledger.Registered{Runner: r, GitHubID: 1}}
	}
	listening := func(r ledger.RunnerName) []ledger.Input { return append(claimed(r), ledger.Idle{Runner: r}) }
	gone := func(r ledger.RunnerName, code int) ledger.Input {
		return ledger.Gone{Runner: r, ExitCode: code, Reason: "because"}
	}
	for name, c := range map[string]struct {
		life func(ledger.RunnerName) []ledger.Input
		want []string
	}{
		"listens, works, ends": {func(r ledger.RunnerName) []ledger.Input {
			return append(listening(r), ledger.Busy{Runner: r}, gone(r, 0))
		}, []string{"started"}},
		"is busy before it said that it listens": {func(r ledger.RunnerName) []ledger.Input {
			return append(claimed(r), ledger.Busy{Runner: r}, gone(r, 0))
		}, []string{"started"}},
		"GitHub's word comes first": {func(r ledger.RunnerName) []ledger.Input {
			seen := ledger.JobSeen{Job: event.WorkflowJob{Action: event.ActionInProgress, Repository: "acme/web", ID: 7, Attempt: 1, Labels: []string{"linux"}, RunnerName: string(r)}}
			return append(claimed(r), seen, seen, ledger.Idle{Runner: r}, ledger.Busy{Runner: r}, gone(r, 0))
		}, []string{"started"}},
		"ends before it listens": {func(r ledger.RunnerName) []ledger.Input { return append(claimed(r), gone(r, 1)) }, []string{"failed"}},
		"has no such program": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitNotFound)}
		}, []string{"failed"}},
		"is refused by GitHub for its version": {func(r ledger.RunnerName) []ledger.Input {
			return append(listening(r), gone(r, agent.ExitDeprecated))
		}, []string{"started", "refused"}},
		"may not claim": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitRefused)}
		}, nil},
		"cannot reach mayfly": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitUnreachable)}
		}, nil},
		"is not needed": {func(r ledger.RunnerName) []ledger.Input {
			done := ledger.JobSeen{Job: event.WorkflowJob{Action: event.ActionCompleted, Conclusion: "cancelled", Repository: "acme/web", ID: 7, Attempt: 1, Labels: []string{"linux"}}}
			return []ledger.Input{ledger.Started{Runner: r}, done, gone(r, 143)}
		}, nil},
		"cannot be registered": {func(r ledger.RunnerName) []ledger.Input {
			return append(claimed(r), ledger.Failed{Runner: r, Reason: "403"}, gone(r, 1))
		}, nil},
		"has no container": {func(r ledger.RunnerName) []ledger.Input { return []ledger.Input{gone(r, 0)} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			var got []string
			for _, in := range c.life(s.queue(t)) {
				result, err := s.Ledger.Apply(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				switch pipeline.ImageNews(in, result, digest).(type) {
				case image.Started:
					got = append(got, "started")
				case image.StartFailed:
					got = append(got, "failed")
				case image.Refused:
					got = append(got, "refused")
				}
				if pipeline.ImageNews(in, result, "") != nil {
					t.Errorf("%T tells of an image that is none of ours", in)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheckRelease asks a feed, and GitHub for the date of the version that runs.
func TestCheckRelease(t *testing.T) {
	s := open(t)
	s.HookAt = "acme/web"
	server := httptest.NewServer(s.sim)
	defer server.Close()
	feed := release.Feed{URL: server.URL + "/api/v3"}
	s.sim.PublishRunner(githubsim.RunnerRelease{Version: "2.337.0", Archives: map[string][]byte{"linux-x64": []byte("x")}})
	end := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	s.sim.DeprecateRunner("2.336.0", time.Time{}, end)
	got := s.CheckRelease(t.Context(), feed, image.CheckRelease{Running: "2.336.0"})
	if len(got) != 2 || got[0] != (image.Deprecated{Version: "2.336.0", At: end}) {
		t.Fatalf("told %+v", got)
	}
	released, ok := got[1].(image.Released)
	if !ok || released.Release.Version != "2.337.0" || len(released.Earlier) != 2 {
		t.Fatalf("told %+v", got[1])
	}
	if again := s.CheckRelease(t.Context(), feed, image.CheckRelease{ETag: released.ETag}); len(again) != 1 || again[0] != (image.Unchanged{}) {
		t.Errorf("told %+v, want nothing new", again)
	}
	server.Close()
	if down := s.CheckRelease(t.Context(), feed, image.CheckRelease{Running: "2.336.0"}); len(down) != 1 || !strings.Contains(down[0].(image.FeedFailed).Reason, "asking for the newest release") {
		t.Errorf("told %+v of a feed that is down", down)
	}
}
