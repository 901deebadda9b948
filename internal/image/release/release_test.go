package release_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
)

var (
	published = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	as        = strings.Repeat("a", 64)
	bs        = strings.Repeat("b", 64)
)

// body is a release's JSON with given notes and digest.
func body(notes, digest string) string {
	return `{"tag_name": "v2.337.0", "published_at": "2026-11-01T12:00:00Z", "body": "` + notes + `",
		"assets": [{"name": "actions-runner-linux-x64-2.337.0.tar.gz", "digest": "` + digest + `"}]}`
}

func noted(platform, sum string) string {
	return "<!-- BEGIN SHA " + platform + " -->" + sum + "<!-- END SHA " + platform + " -->"
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       map[string]string
	}{
		{"notes", body(noted("linux-x64", as)+`\n- `+noted("linux-arm64", bs)+noted("win-x64", bs), ""), map[string]string{"amd64": as, "arm64": bs}},
		{"digest", body("", "sha256:"+as), map[string]string{"amd64": as}},
		{"both", body(noted("linux-x64", as), "sha256:"+as), map[string]string{"amd64": as}},
		{"notes of one, digest of the other", body(noted("linux-arm64", bs), "sha256:"+as), map[string]string{"amd64": as, "arm64": bs}},
		{"without externals is another archive", body(noted("linux-x64_noexternals", bs)+noted("linux-x64", as), ""), map[string]string{"amd64": as}},
	} {
		r, err := release.Parse(archive.Actions, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := image.Release{Version: "2.337.0", SHA256: c.want, Published: published}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		checksums        bool
	}{
		{"no JSON", "<html>", "reading a release", false},
		{"no version", `{"tag_name": "latest"}`, `runner version "latest"`, false},
		{"a prerelease", `{"tag_name": "v2.337.0", "prerelease": true}`, "is a draft or a prerelease", false},
		{"none", body("", ""), "neither the notes nor the files", true},
		{"they differ", body(noted("linux-x64", as), "sha256:"+bs), "the notes say " + as + ", and the file's digest is " + bs, true},
		{"no digest", body("", "sha256:zz"), "is no SHA-256", true},
		{"marks that do not match", body("<!-- BEGIN SHA linux-x64 -->"+as+"<!-- END SHA linux-arm64 -->", ""), "neither", true},
	} {
		_, err := release.Parse(archive.Actions, []byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, release.ErrChecksums) != c.checksums {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzParse: whatever a feed says, what is believed of it is whole.
func FuzzParse(f *testing.F) {
	f.Add(body(noted("linux-x64", as), "sha256:"+as))
	f.Add(body(noted("linux-arm64", as), ""))
	f.Add(`{"tag_name": "v1.2.3", "assets": null, "published_at": null}`)
	f.Fuzz(func(t *testing.T, data string) {
		r, err := release.Parse(archive.Actions, []byte(data))
		if err != nil {
			return
		}
		if _, err := image.ParseVersion(string(r.Version)); err != nil || len(r.SHA256) == 0 {
			t.Errorf("%q was read as %+v", data, r)
		}
		for arch, sum := range r.SHA256 {
			if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" || (arch != "amd64" && arch != "arm64") {
				t.Errorf("%q: checksum %q for %q", data, sum, arch)
			}
		}
	})
}

// simulate returns a GitHub with a release, and its feed.
func simulate(t *testing.T, c githubsim.Config) (*githubsim.Sim, release.Feed) {
	t.Helper()
	c.Log, c.Dir = slog.New(slog.DiscardHandler), t.TempDir()
	if c.Now == nil {
		c.Now = func() time.Time { return published }
	}
	sim, err := githubsim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	sim.PublishRunner(githubsim.RunnerRelease{Version: "2.337.0", Archives: map[string][]byte{"linux-x64": []byte("x64"), "linux-arm64": []byte("arm64")}})
	return sim, release.Feed{Product: archive.Actions, URL: server.URL + "/api/v3", Now: c.Now}
}

func TestLatest(t *testing.T) {
	sim, feed := simulate(t, githubsim.Config{})
	got, err := feed.Latest(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	first, ok := got.(image.Released)
	if !ok || first.Release.Version != "2.337.0" || len(first.Release.SHA256) != 2 || first.ETag == "" {
		t.Fatalf("answer %+v", got)
	}
	if got, err := feed.Latest(t.Context(), first.ETag); err != nil || got != (image.Unchanged{}) {
		t.Errorf("again: %+v, %v, want unchanged", got, err)
	}
	sim.PublishRunner(githubsim.RunnerRelease{Version: "2.338.0", Archives: map[string][]byte{"linux-x64": []byte("new")}})
	if got, err := feed.Latest(t.Context(), first.ETag); err != nil || got.(image.Released).Release.Version != "2.338.0" {
		t.Errorf("after a release: %+v, %v", got, err)
	}
	earlier, err := feed.Earlier(t.Context())
	if err != nil || len(earlier) != 3 || earlier[0].Version != "2.338.0" || !earlier[1].Published.Equal(published) {
		t.Errorf("earlier releases: %+v, %v", earlier, err)
	}
}

func TestNotesThatLie(t *testing.T) {
	sim, feed := simulate(t, githubsim.Config{})
	sim.PublishRunner(githubsim.RunnerRelease{
		Version: "2.338.0", Archives: map[string][]byte{"linux-x64": []byte("new")}, SHA256: map[string]string{"linux-x64": as},
	})
	if got, err := feed.Latest(t.Context(), ""); !errors.Is(err, release.ErrChecksums) {
		t.Errorf("answer %+v, %v: want %v", got, err, release.ErrChecksums)
	}
}

func TestLimit(t *testing.T) {
	_, feed := simulate(t, githubsim.Config{AnonymousLimit: 2})
	for range 2 {
		if _, err := feed.Latest(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	_, err := feed.Latest(t.Context(), "")
	var limited *release.Limited
	if !errors.As(err, &limited) || !limited.Until.Equal(published.Add(time.Hour)) {
		t.Errorf("error %v, want a limit until the end of the hour", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		wait   time.Duration // 0: not limited
	}{
		{"secondary limit", 429, map[string]string{"Retry-After": "90"}, 90 * time.Second},
		{"forbidden without a word", 403, nil, 15 * time.Minute},
		{"a limit of a day", 429, map[string]string{"Retry-After": "86400"}, 2 * time.Hour},
		{"a limit that is over", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5"}, time.Minute},
		{"down", 502, nil, 0},
		{"moved away", 404, nil, 0},
		{"unchanged, though nobody asked so", 304, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
			}))
			defer server.Close()
			_, err := release.Feed{Product: archive.Actions, URL: server.URL, Now: func() time.Time { return published }}.Latest(t.Context(), "")
			var limited *release.Limited
			switch {
			case err == nil:
				t.Fatal("no error")
			case c.wait == 0 && errors.As(err, &limited):
				t.Errorf("error %v, which is no limit", err)
			case c.wait != 0 && (!errors.As(err, &limited) || limited.Until.Sub(published) != c.wait):
				t.Errorf("error %v, want a limit of %v", err, c.wait)
			}
		})
	}
}

func TestDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if _, err := (release.Feed{Product: archive.Actions, URL: server.URL}).Latest(t.Context(), ""); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (release.Feed{Product: archive.Actions, URL: server.URL}).Latest(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
