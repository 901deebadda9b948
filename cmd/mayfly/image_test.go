package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// imageStore opens the engine's store, with an image of this machine's tools to build
// on, until the test is over.
func imageStore(t *testing.T) (_ *engine.Builder, base string) {
	t.Helper()
	return imageStoreAt(t, dockertest.Serve(t))
}

func imageStoreAt(t *testing.T, socket string) (_ *engine.Builder, base string) {
	t.Helper()
	b, err := engine.New(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	base = hosttools.NewName("base-test")
	dockertest.Load(t, socket, base, dockertest.Base())
	return b, base
}

// TestImage builds an image without GitHub and without a registry, and has the demo
// run its jobs in it, and the canary its own; on both engines.
func TestImage(t *testing.T) { t.Parallel(); dockertest.Each(t, testImage) }

func testImage(t *testing.T, socket string) {
	env := atEngine(socket)
	b, base := imageStoreAt(t, socket)
	built := tooltest.JSONIn[engine.Image](t, env, "image", "build", "--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--base", base, "--json")
	t.Cleanup(func() {
		if err := b.Remove(context.Background(), built.Digest); err != nil {
			t.Error(err)
		}
	})
	if built.Version != tooltest.StandinVersion || built.Base != base {
		t.Errorf("built %+v", built)
	}
	listed := false
	for _, i := range tooltest.JSONIn[[]engine.Image](t, env, "image", "list", "--json") {
		listed = listed || i == built
	}
	if !listed {
		t.Errorf("mayfly image list lacks %s", built.Digest)
	}
	got := tooltest.JSONIn[demoSummary](t, env, "demo", "--json", "--launcher", "engine", "--image", built.Digest)
	got.QueuedToStarted, got.RunnersStarted = rehearsal.Quantiles{}, 0
	if diff := cmp.Diff(demoSummary{Jobs: 6, AsExpected: 6}, got); diff != "" {
		t.Error(diff)
	}
	if out, errs, code := tooltest.Run(t, env, "image", "canary", built.Digest); code != 0 || !strings.Contains(out, "ran the canary job and left") {
		t.Errorf("canary: exit code %d\n%s%s", code, out, errs)
	}
	if there, err := b.Has(t.Context(), built.Digest); err != nil || !there {
		t.Errorf("%v, %v: the demo took the image with it", there, err)
	}
}

// TestImageRefused: nothing is built from what is not what it is said to be.
func TestImageRefused(t *testing.T) {
	t.Parallel()
	b, base := imageStore(t)
	other := filepath.Join(t.TempDir(), archive.Name(tooltest.StandinVersion, runtime.GOARCH))
	if out, err := exec.Command("tar", "-czf", other, "image_test.go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"wrong checksum":  {[]string{"--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--sha256", strings.Repeat("0", 64)}, 1, []string{"wrong checksum", "want 000", "no image was built"}},
		"wrong version":   {[]string{"--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--runner-version", "2.998.0"}, 1, []string{"RUN set -eu", "version is 2.999.0", "mayfly image eject"}},
		"another archive": {[]string{"--agent-archive", other}, 1, []string{"it does not contain run.sh", "releases"}},
		"bad version":     {[]string{"--runner-version", "latest"}, 2, []string{"want three numbers"}},
		"no such base":    {[]string{"--agent-archive", tooltest.Standin(t, tooltest.StandinVersion), "--base", "localhost/no-such-base:latest"}, 1, []string{"localhost/no-such-base"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, code := tooltest.Mayfly(t, append([]string{"image", "build", "--base", base}, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q is not in\n%s", want, errs)
				}
			}
		})
	}
	all, err := b.List(t.Context())
	if err != nil || slices.ContainsFunc(all, func(i engine.Image) bool { return i.Base == base }) {
		t.Errorf("%v, built: %+v", err, all)
	}
}

// TestNewestIsBuilt: without a version it is the newest release of the feed, checked
// against its checksums.
func TestNewestIsBuilt(t *testing.T) {
	t.Parallel()
	w := imageWorld(t, "watch: true")
	w.release(t, "2.998.0")
	w.release(t, tooltest.StandinVersion)
	built := tooltest.JSON[engine.Image](t, "-c", w.config(), "image", "build", "--json")
	if built.Version != tooltest.StandinVersion {
		t.Errorf("built %+v, want the newest", built)
	}
	if _, err := os.Stat(filepath.Join(w.state(), "archives", archive.Name(tooltest.StandinVersion, runtime.GOARCH))); err != nil {
		t.Errorf("its archive is not kept: %v", err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--runner-version", "2.998.0"}, 2, "not the newest, which is " + tooltest.StandinVersion},
		{[]string{"--runner-version", "2.997.0", "--sha256", strings.Repeat("0", 64)}, 4, "404"},
		{[]string{"--runner-version", tooltest.StandinVersion, "--sha256", strings.Repeat("0", 64)}, 1, "wrong checksum"},
	} {
		_, errs, code := tooltest.Mayfly(t, append([]string{"-c", w.config(), "image", "build"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%v: exit code %d, want %d and %q\n%s", c.args, code, c.code, c.want, errs)
		}
	}
	silent := strings.Replace(w.yaml(), w.simURL+"/api/v3", "http://"+freeAddress(t), 1)
	if err := os.WriteFile(w.config(), []byte(silent), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := tooltest.Mayfly(t, "-c", w.config(), "image", "build"); code != 4 || !strings.Contains(errs, "asking for the newest runner") {
		t.Errorf("without a feed: exit code %d, want 4\n%s", code, errs)
	}
}
