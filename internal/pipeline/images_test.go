package pipeline_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// TestImageNews: what the life of a runner tells of its image.
func TestImageNews(t *testing.T) {
	claimed := func(r ledger.RunnerName) []ledger.Input {
		return []ledger.Input{ledger.Started{Runner: r}, ledger.Claim{Runner: r}, ledger.Registered{Runner: r, GitHubID: 1}}
	}
	listening := func(r ledger.RunnerName) []ledger.Input { return append(claimed(r), ledger.Idle{Runner: r}) }
	gone := func(r ledger.RunnerName, code int) ledger.Input {
		return ledger.Gone{Runner: r, ExitCode: code, Reason: "because"}
	}
	for name, c := range map[string]struct {
		life func(ledger.RunnerName) []ledger.Input
		want string
	}{
		"listens, works, ends": {func(r ledger.RunnerName) []ledger.Input {
			return append(listening(r), ledger.Busy{Runner: r}, gone(r, 0))
		}, ""},
		"listens and dies":       {func(r ledger.RunnerName) []ledger.Input { return append(listening(r), gone(r, 1)) }, ""},
		"is not gone":            {claimed, ""},
		"ends before it listens": {func(r ledger.RunnerName) []ledger.Input { return append(claimed(r), gone(r, 1)) }, "failed"},
		"has no such program": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitNotFound)}
		}, "failed"},
		"cannot be started": {func(r ledger.RunnerName) []ledger.Input { return []ledger.Input{gone(r, 0)} }, "failed"},
		"cannot be started, for want of an engine": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Gone{Runner: r, Reason: "not started", Outside: true}}
		}, ""},
		"is refused by GitHub for its version": {func(r ledger.RunnerName) []ledger.Input {
			return append(listening(r), gone(r, agent.ExitDeprecated))
		}, "refused"},
		"is refused before it listens": {func(r ledger.RunnerName) []ledger.Input {
			return append(claimed(r), gone(r, agent.ExitDeprecated))
		}, "refused"},
		"may not claim": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitRefused)}
		}, ""},
		"cannot reach mayfly": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitUnreachable)}
		}, ""},
		"is told to leave": {func(r ledger.RunnerName) []ledger.Input {
			return []ledger.Input{ledger.Started{Runner: r}, gone(r, agent.ExitTerminated)}
		}, ""},
		"is not needed": {func(r ledger.RunnerName) []ledger.Input {
			done := ledger.JobSeen{Job: event.WorkflowJob{Action: event.ActionCompleted, Conclusion: "cancelled", Repository: "acme/web", ID: 7, Attempt: 1, Labels: []string{"linux"}}}
			return []ledger.Input{ledger.Started{Runner: r}, done, gone(r, 1)}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			runner := s.queue(t)
			s.tell(t, append([]ledger.Input{ledger.Starting{Runner: runner, Image: "sha256:a"}}, c.life(runner)...)...)
			list, err := s.Ledger.Runners(t.Context(), ledger.RunnerQuery{Name: runner})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			switch in := pipeline.ImageNews(list[0]).(type) {
			case image.StartFailed:
				got = "failed"
				if in.Digest != "sha256:a" || in.Runner != string(runner) || in.Reason != list[0].Reason {
					t.Errorf("%+v of %+v", in, list[0])
				}
			case image.Refused:
				got = "refused"
			}
			if got != c.want {
				t.Errorf("tells %q, want %q: %+v", got, c.want, list[0])
			}
			list[0].Image = ""
			if pipeline.ImageNews(list[0]) != nil {
				t.Error("tells of an image that nobody knows")
			}
		})
	}
}

// tell gives the ledger inputs, the end of a runner as launchers do.
func (s *site) tell(t *testing.T, inputs ...ledger.Input) {
	t.Helper()
	for _, in := range inputs {
		err := error(nil)
		if gone, ended := in.(ledger.Gone); ended {
			err = s.Gone(t.Context(), gone)
		} else {
			_, err = s.Ledger.Apply(t.Context(), in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// history is a ledger that has runners, the newest first.
type history []ledger.Runner

func (h history) Runners(_ context.Context, q ledger.RunnerQuery) (list []ledger.Runner, err error) {
	for _, r := range h {
		if _, known := r.Outcome(); known && r.Image == q.Image && len(list) < q.Limit {
			list = append(list, r)
		}
	}
	return list, nil
}

// TestWeigh: what is held against an image on trial is its own last starts since it was
// promoted, and those of the image before.
func TestWeigh(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := &image.Catalog{}
	for _, in := range []image.Input{
		image.Built{Digest: "sha256:a", Version: "2.336.0"}, image.CanaryPassed{Digest: "sha256:a"},
		image.Built{Digest: "sha256:b", Version: "2.337.0"}, image.CanaryPassed{Digest: "sha256:b"},
	} {
		c.Apply(in, image.Settings{}, at)
	}
	start := func(digest string, well bool, after time.Duration) ledger.Runner {
		r := ledger.Runner{Image: digest, State: ledger.RunnerGone, Since: at.Add(after)}
		if well {
			r.Listened = r.Since
		}
		return r
	}
	h := history{start("sha256:b", false, time.Hour), start("sha256:a", false, time.Minute), start("sha256:b", true, 0), start("sha256:b", false, -time.Hour)}
	for range 30 {
		h = append(h, start("sha256:a", true, -time.Hour))
	}
	got, ok, err := pipeline.Weigh(t.Context(), h, c, image.StartFailed{Digest: "sha256:b", Runner: "r"}, at.Add(time.Hour))
	want := image.StartFailed{Digest: "sha256:b", Runner: "r", Starts: image.Starts{All: 2, Failed: 1}, Before: image.Starts{All: 20, Failed: 1}}
	if err != nil || !ok || got != want {
		t.Errorf("%+v, %t, %v: want %+v", got, ok, err, want)
	}
	for what, in := range map[string]struct {
		digest image.Digest
		after  time.Duration
	}{"the image before": {"sha256:a", time.Hour}, "another image": {"sha256:c", time.Hour}, "a day later": {"sha256:b", 24 * time.Hour}} {
		if _, ok, err := pipeline.Weigh(t.Context(), nil, c, image.StartFailed{Digest: in.digest}, at.Add(in.after)); ok || err != nil {
			t.Errorf("%s: %t, %v: want nothing to weigh", what, ok, err)
		}
	}
}

// TestCheckRelease asks a feed, and GitHub for the date of the version that runs.
func TestCheckRelease(t *testing.T) {
	s := open(t)
	s.HookAt = "acme/web"
	server := httptest.NewServer(s.sim)
	defer server.Close()
	feed := release.Feed{Product: archive.Actions, URL: server.URL + "/api/v3"}
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
