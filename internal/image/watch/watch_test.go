package watch_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/imagetest"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/image/watch"
)

// direct hands requests to a server in the same goroutine, so that time can be virtual.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.RemoteAddr == "" {
		r = r.Clone(r.Context())
		r.RemoteAddr, r.RequestURI = "127.0.0.1:1", r.URL.RequestURI()
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// A host is a watch at work, with virtual time, a simulated GitHub for its feed, and a
// store of images that are no more than the archives they were built from.
type host struct {
	*watch.Watch
	t      *testing.T
	mu     sync.Mutex // held by what the watch calls, which it does at once
	sim    *githubsim.Sim
	store  *imagetest.Memory
	images []image.Digest // that are there
	force  image.Digest   // what launches use
	broken func(image.Digest) error
	down   http.RoundTripper // in place of the feed; nil when it is up
	tried  []image.Digest
	built  []time.Time
	works  struct { // the last runner that was given a job
		runner  string
		claimed time.Time
	}
}

func newHost(t *testing.T) *host {
	t.Helper()
	sim, err := githubsim.New(githubsim.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: t.TempDir(), RunnerVersion: "2.300.0"})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, sim: sim, store: &imagetest.Memory{Now: time.Now}, broken: func(image.Digest) error { return nil }}
	h.Watch = watch.New(watch.Config{
		Store: h.store, Check: h.check, Build: h.build, Log: slog.New(slog.DiscardHandler),
		Try: func(_ context.Context, i image.Image) error {
			h.tried = append(h.tried, i.Digest)
			return h.broken(i.Digest)
		},
		Promote: func(_ context.Context, e image.PromoteImage) error { h.force = e.Image.Digest; return nil },
		Remove: func(_ context.Context, d image.Digest) error {
			h.images = slices.DeleteFunc(h.images, func(o image.Digest) bool { return o == d })
			return nil
		},
		Look: h.look, Working: h.working,
	})
	h.publish("2.336.0")
	h.apply(image.Sourced{Revision: "r"})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		sim.Close()
	})
	return h
}

func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	down := h.down
	h.mu.Unlock()
	if down != nil {
		return down.RoundTrip(r)
	}
	return direct{h.sim}.RoundTrip(r)
}

// publish has GitHub publish a release.
func (h *host) publish(version string) {
	h.sim.PublishRunner(githubsim.RunnerRelease{Version: version, Archives: map[string][]byte{"linux-x64": []byte("runner " + version)}})
}

func (h *host) apply(in image.Input) image.Result {
	h.t.Helper()
	r, err := h.Apply(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *host) check(ctx context.Context, e image.CheckRelease) []image.Input {
	answer, err := release.Feed{URL: "http://github.test/api/v3", Transport: h}.Latest(ctx, e.ETag)
	var limited *release.Limited
	switch {
	case errors.As(err, &limited):
		return []image.Input{image.FeedFailed{Reason: err.Error(), Until: limited.Until}}
	case err != nil:
		return []image.Input{image.FeedFailed{Reason: err.Error()}}
	}
	return []image.Input{answer}
}

// build downloads the archive of a release and holds it against its checksum.
func (h *host) build(ctx context.Context, e image.BuildImage) (image.Digest, error) {
	h.change(func() { h.built = append(h.built, time.Now()) })
	version := string(e.Release.Version)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://github.test/actions/runner/releases/download/v"+version+"/"+archive.Name(version, "amd64"), nil)
	if err != nil {
		return "", err
	}
	res, err := h.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	content := make([]byte, 100)
	n, _ := res.Body.Read(content)
	is := sha256.Sum256(content[:n])
	if sum := hex.EncodeToString(is[:]); sum != e.Release.SHA256["amd64"] {
		return "", fmt.Errorf("%w: SHA-256 is %s, want %s", archive.ErrChecksum, sum, e.Release.SHA256["amd64"])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	d := image.Digest(fmt.Sprintf("sha256:%s-%d", version, len(h.built)))
	h.images = append(h.images, d)
	return d, nil
}

func (h *host) look(_ context.Context, known []image.Digest) (used, gone []image.Digest, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range known {
		if !slices.Contains(h.images, d) {
			gone = append(gone, d)
		}
	}
	return []image.Digest{h.force}, gone, nil
}

func (h *host) working(context.Context, image.Digest) (string, time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.works.runner, h.works.claimed, nil
}

// change changes how h is.
func (h *host) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// pass lets time pass, and all that follows come to rest.
func (h *host) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *host) catalog() *image.Catalog {
	h.t.Helper()
	c, err := h.store.Catalog(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// wantForce checks the version that launches use.
func (h *host) wantForce(version image.Version) {
	h.t.Helper()
	c := h.catalog()
	if i, _ := c.Find(h.force); i.Version != version {
		h.t.Fatalf("launches use runner %q (%s), want %s; next: %s", i.Version, h.force, version, c.Next(time.Now()))
	}
}

func TestNewReleaseIsInForceWithinTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.wantForce("2.336.0")
		h.publish("2.337.0")
		h.pass(time.Hour + 15*time.Second)
		h.wantForce("2.337.0")
		if len(h.tried) != 2 || len(h.images) != 2 {
			t.Errorf("canaries %v, images %v: want one for each release", h.tried, h.images)
		}
		for n := range 5 {
			h.publish(fmt.Sprintf("2.34%d.0", n))
			h.pass(2 * time.Hour)
		}
		if h.wantForce("2.344.0"); len(h.images) != image.DefaultKeep {
			t.Errorf("images %v are kept, want %d", h.images, image.DefaultKeep)
		}
	})
}

func TestChecksumWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.sim.PublishRunner(githubsim.RunnerRelease{
			Version: "2.337.0", Archives: map[string][]byte{"linux-x64": []byte("runner 2.337.0")},
			SHA256: map[string]string{"linux-x64": strings.Repeat("0", 64)},
		})
		h.pass(time.Hour + 15*time.Second)
		h.wantForce("2.336.0")
		if c := h.catalog(); !strings.Contains(c.Feed.Reason, "the notes say 000") || len(h.built) != 1 {
			t.Errorf("%d builds, feed: %q", len(h.built), c.Feed.Reason)
		}
		h.publish("2.337.0") // put right
		h.pass(time.Hour)
		h.wantForce("2.337.0")
	})
}

// TestArchiveIsNotWhatItShouldBe: the notes are all there is, and the archive is another.
func TestArchiveIsNotWhatItShouldBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		sum := strings.Repeat("0", 64)
		h.apply(image.Released{Release: image.Release{Version: "2.337.0", SHA256: map[string]string{"amd64": sum}, Published: time.Now()}})
		h.pass(time.Minute)
		h.wantForce("2.336.0")
		if b := h.catalog().Build; b == nil || !strings.Contains(b.Reason, "want "+sum) {
			t.Errorf("build: %+v", b)
		}
	})
}

func TestCanaryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.change(func() { h.broken = func(image.Digest) error { return errors.New("it did not register: no such file") } })
		h.publish("2.337.0")
		h.pass(12 * time.Hour)
		h.wantForce("2.336.0")
		if i := h.catalog().Images[0]; i.State != image.StateFailed || !strings.Contains(i.Reason, "did not register") {
			t.Errorf("image: %+v", i)
		}
		h.change(func() { h.broken = func(image.Digest) error { return nil } })
		h.publish("2.338.0")
		h.pass(2 * time.Hour)
		h.wantForce("2.338.0")
	})
}

func TestStartFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.publish("2.337.0")
		h.pass(time.Hour + 15*time.Second)
		h.wantForce("2.337.0")
		for n := range 3 {
			h.apply(image.StartFailed{Digest: h.force, Runner: fmt.Sprint("r", n), Reason: "exit code 1", Starts: image.Starts{All: n + 1, Failed: n + 1}})
		}
		h.pass(time.Second)
		h.wantForce("2.336.0")
		h.pass(24 * time.Hour)
		h.wantForce("2.336.0")
	})
}

func TestRefusedIsBuiltWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(10 * time.Minute)
		h.publish("2.337.0")
		h.apply(image.Refused{Digest: h.force, Runner: "r1"})
		refused := time.Now()
		h.pass(15 * time.Second)
		h.wantForce("2.337.0")
		if took := h.built[1].Sub(refused); took > time.Second {
			t.Errorf("built %v after the refusal", took)
		}
	})
}

// TestRefusalEnds when GitHub gives a job to a runner of that version all the same, which claimed after the refusal.
func TestRefusalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(10 * time.Minute)
		h.works.runner, h.works.claimed = "r0", time.Now()
		h.pass(time.Second)
		h.apply(image.Refused{Digest: h.force, Runner: "r1"})
		h.pass(2 * watch.LookEvery)
		if !h.catalog().Refused() {
			t.Error("a runner that claimed before the refusal ended it")
		}
		h.change(func() { h.works.runner, h.works.claimed = "r2", time.Now() })
		h.pass(watch.LookEvery)
		if h.catalog().Refused() {
			t.Error("the version is refused still, though a runner of it works")
		}
	})
}

func TestFeedInTrouble(t *testing.T) {
	answer := func(status int, header ...string) http.RoundTripper {
		return direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		})}
	}
	for name, trouble := range map[string]http.RoundTripper{
		"bad gateway":        answer(502),
		"forbidden":          answer(403),
		"too many":           answer(429, "Retry-After", "1800"),
		"not what it was":    answer(200),
		"unreachable":        failing{},
		"unchanged, unasked": answer(304),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				h.pass(15 * time.Second)
				h.change(func() { h.down = trouble })
				h.publish("2.337.0")
				h.pass(25*time.Hour + time.Minute)
				h.wantForce("2.336.0")
				c := h.catalog()
				if name != "unchanged, unasked" && (c.Feed.Reason == "" || c.Raised[image.KindFeed].IsZero()) {
					t.Errorf("feed: %+v, alarms %v", c.Feed, c.Raised)
				}
				h.change(func() { h.down = nil })
				h.pass(2*time.Hour + time.Minute)
				h.wantForce("2.337.0")
			})
		})
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func TestImageThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.change(func() { h.images = nil }) // docker image prune --all
		h.pass(watch.LookEvery + 15*time.Second)
		h.wantForce("2.336.0")
		if !slices.Contains(h.images, h.force) {
			t.Errorf("launches use %s, and there are %v", h.force, h.images)
		}
	})
}

// TestRemovalThatComesLate: what was to go and was built again meanwhile stays.
func TestRemovalThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		if err := h.Do(t.Context(), image.RemoveImage{Digest: h.force, Reason: "old"}); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(h.images, h.force) {
			t.Errorf("launches use %s, which is gone", h.force)
		}
	})
}

// TestSettle is how a function on AWS does it: one input, and all that follows from it.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.pass(15 * time.Second)
		h.publish("2.337.0")
		time.Sleep(time.Hour)
		if err := h.Settle(t.Context(), image.Tick{}); err != nil {
			t.Fatal(err)
		}
		h.pass(time.Second)
		h.wantForce("2.337.0")
	})
}
