package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	fleetengine "github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// imageWorld is a world whose runners start from images that mayfly up builds of the
// releases of its simulated GitHub.
func imageWorld(t *testing.T, more string) *world {
	socket := dockertest.Serve(t)
	b, base := imageStoreAt(t, socket)
	t.Cleanup(func() { removeBuiltOn(t, b, base) })
	return newWorld(t, worldConfig{
		launcher: fmt.Sprintf("launcher: engine\nengine: {socket: %s}\nimage: {base: %q, feed: SIM/api/v3, downloads: SIM/actions/runner/releases/download, %s}\nmetrics: {listen: \"127.0.0.1:0\"}", socket, base, more),
		command:  "/home/runner/run.sh",
		purge: func(ctx context.Context, _ *world, instance string) error {
			l, err := fleetengine.New(ctx, fleetengine.Config{Socket: socket, Instance: instance, Agent: tooltest.Binary("mayfly-agent")})
			if err != nil {
				return err
			}
			return errors.Join(l.Purge(ctx), l.Close())
		},
	})
}

// canaryAtForge is where new images must run a job, too.
const canaryAtForge = "acme/canary"

// forgeCanary is the workflow that docs/image.md tells people to put there.
func forgeCanary(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/image.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "`.github/workflows/"+machine.ForgeCanaryFile+"`")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("docs/image.md has no %s", machine.ForgeCanaryFile)
	}
	return text
}

// removeBuiltOn removes the images that were built on base.
func removeBuiltOn(t *testing.T, b *engine.Builder, base string) {
	all, err := b.List(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, i := range all {
		if i.Base != base {
			continue
		}
		if err := b.Remove(context.Background(), i.Digest); err != nil {
			t.Error(err)
		}
	}
}

// release has the simulated GitHub publish a version of the stand-in runner.
func (w *world) release(t *testing.T, version string) {
	t.Helper()
	archive, err := os.ReadFile(tooltest.Standin(t, version))
	if err != nil {
		t.Fatal(err)
	}
	w.sim.PublishRunner(githubsim.RunnerRelease{Version: version, Archives: map[string][]byte{"linux-x64": archive}})
}

// TestImageWatch is the life of two images: the first is built of the newest release,
// tried and promoted, and a job runs in it. Then GitHub publishes another release and
// refuses the first, which the next runner finds out: the new one is built at once, and
// the job runs in that.
func TestImageWatch(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("two builds and their canaries take a minute")
	}
	w := imageWorld(t, "canary_repository: "+canaryAtForge)
	if err := w.sim.CreateRepository(githubsim.Repository{Name: canaryAtForge}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sim.Push(githubsim.Push{Repository: canaryAtForge, Files: map[string]string{".github/workflows/" + machine.ForgeCanaryFile: forgeCanary(t)}}); err != nil {
		t.Fatal(err)
	}
	w.release(t, "2.998.0")
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/ci.yml": workflow(1, "true")})
	w.completed(t, 2, 4*time.Minute) // with the canary
	v := tooltest.JSON[inspect.Images](t, "-c", w.config(), "image", "status", "--json")
	if v.Current == nil || v.Current.Version != "2.998.0" || v.Current.Reason != "its canary passed" {
		t.Fatalf("current: %+v\n%s", v.Current, w.up.said())
	}
	first := v.Current.Digest

	w.release(t, "2.999.0")
	w.sim.DeprecateRunner("2.998.0", time.Time{}, time.Now().Add(-time.Minute))
	refused := time.Now()
	w.push(t, map[string]string{".github/workflows/ci.yml": workflow(1, "echo again")})
	w.completed(t, 4, 4*time.Minute)
	v = tooltest.JSON[inspect.Images](t, "-c", w.config(), "image", "status", "--json")
	if v.Current == nil || v.Current.Version != "2.999.0" {
		t.Fatalf("current: %+v\n%s", v.Current, w.up.said())
	}
	t.Logf("the job ran %v after GitHub had refused the version", time.Since(refused).Round(time.Second))
	if !strings.Contains(w.up.whole(), "GitHub refuses runner 2.998.0") {
		t.Errorf("the log does not say that GitHub refused\n%s", w.up.said())
	}
	runners := tooltest.JSON[[]ledger.Runner](t, "-c", w.config(), "runners", "--all", "--json")
	if !slices.ContainsFunc(runners, func(r ledger.Runner) bool { return r.ExitCode == 7 }) {
		t.Errorf("no runner ended with exit code 7: %+v", runners)
	}
	for _, r := range runners { // those before the first image could not be started
		if want := v.Current.Digest; !r.Listened.IsZero() && r.Image != string(first) && (r.ExitCode == 7 || r.Image != string(want)) {
			t.Errorf("runner %s ended with exit code %d and was started from %q: want %s, or %s after it", r.Name, r.ExitCode, r.Image, first, want)
		}
	}
	if starts := v.Starts[v.Current.Digest]; starts.All == 0 || starts.Failed > 0 {
		t.Errorf("starts from %s failed: %s, want none of some", v.Current.Digest, starts)
	}
	for _, j := range w.sim.Jobs() {
		if j.Conclusion != "success" {
			t.Errorf("job %s of %s ended with %s", j.Name, j.Repository, j.Conclusion)
		}
	}
	if info := fmt.Sprintf("mayfly_runner_image_info{image=%q,runner=%q}", v.Current.Digest, v.Current.Version); w.scrape(t)[info] != "1" {
		t.Errorf("no metric %s", info)
	}
	w.nothingLeft(t, 30*time.Second)
	w.rollback(t, first)
	w.up.stop(t)
}

// TestImageSourceChanges: SIGHUP has a folder that has changed built at once. None of its
// versions can be, which is the fastest way to see that it was tried.
func TestImageSourceChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	change := func(dockerfile string) (revision string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, imagesource.Dockerfile), []byte(dockerfile), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := imagesource.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return files.Revision
	}
	change("ONE mistake\n")
	w := imageWorld(t, fmt.Sprintf("source: %q", dir))
	w.release(t, "2.999.0")
	w.serve(t)
	w.says(t, "image not built", 1)
	revision := change("ANOTHER mistake\n")
	w.hangUp(t, "image not built", 2)
	v := tooltest.JSON[inspect.Images](t, "-c", w.config(), "image", "status", "--json")
	if v.Build == nil || !strings.HasPrefix(v.Build.Revision, revision) {
		t.Errorf("build: %+v, want that of source %s", v.Build, revision)
	}
	w.up.stop(t)
}

// TestImageBuiltByHand is for those whom no release reaches: an image built of a file, of
// which the catalog is told, and which a person has runners start from.
func TestImageBuiltByHand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a build takes half a minute")
	}
	w := imageWorld(t, "watch: false")
	w.serve(t)
	built := tooltest.JSON[engine.Image](t, "-c", w.config(), "image", "build", "--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--json")
	v := tooltest.JSON[inspect.Images](t, "-c", w.config(), "image", "status", "--json")
	if v.Current != nil || len(v.Images) != 1 || string(v.Images[0].Digest) != built.Digest {
		t.Fatalf("images %+v, want %s and none current", v.Images, built.Digest)
	}
	if _, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", built.Digest); code != 1 || !strings.Contains(errs, "has not passed its canary") {
		t.Errorf("promote: exit code %d\n%s", code, errs)
	}
	if _, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", "--force", built.Digest); code != 0 {
		t.Fatalf("promote --force: exit code %d\n%s", code, errs)
	}
	w.push(t, map[string]string{".github/workflows/ci.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.up.stop(t)
}

// TestImagePromotedBeforeUp: what was built before anything has run can be promoted, and
// runners start from it although nobody watches images.
func TestImagePromotedBeforeUp(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a build takes half a minute")
	}
	w := imageWorld(t, "watch: false")
	built := tooltest.JSON[engine.Image](t, "-c", w.config(), "image", "build", "--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--json")
	digest := image.Digest(built.Digest)
	_, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", digest.Short())
	if code != 1 || !strings.Contains(errs, "has not passed its canary") || !strings.Contains(errs, "--force") {
		t.Errorf("promote: exit code %d\n%s", code, errs)
	}
	if _, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", "sha256:000000"); code != 1 || !strings.Contains(errs, "no image sha256:000000 is known") {
		t.Errorf("promote what is not there: exit code %d\n%s", code, errs)
	}
	out, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", "--force", digest.Short())
	if code != 0 || !strings.Contains(out, built.Digest) {
		t.Fatalf("promote --force: exit code %d\n%s%s", code, out, errs)
	}
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/ci.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.up.stop(t)
}

// rollback goes back to an image that GitHub refuses, which must not work, and promotes
// it by hand all the same, which must.
func (w *world) rollback(t *testing.T, first image.Digest) {
	t.Helper()
	if _, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "rollback"); code != 1 || !strings.Contains(errs, "no good image to go back to") {
		t.Errorf("rollback to a refused version: exit code %d\n%s", code, errs)
	}
	out, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "promote", first.Short())
	if code != 0 || !strings.Contains(out, string(first)) {
		t.Errorf("promote: exit code %d\n%s%s", code, out, errs)
	}
}
