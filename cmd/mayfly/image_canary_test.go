package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestCanaryOfBrokenImage: the reason is told, with what the runner printed last.
func TestCanaryOfBrokenImage(t *testing.T) {
	t.Parallel()
	b, base := imageStore(t)
	broken := tooltest.JSON[engine.Image](t, "image", "build", "--agent-archive", brokenArchive(t), "--base", base, "--json")
	t.Cleanup(func() { b.Remove(context.Background(), broken.Digest) })
	_, errs, code := tooltest.Mayfly(t, "image", "canary", broken.Digest)
	if code != 1 || !strings.Contains(errs, "cannot find a runtime") || !strings.Contains(errs, "its runner failed") {
		t.Errorf("exit code %d, want 1 and the runner's last words\n%s", code, errs)
	}
}

// brokenArchive packs a runner that says its version and does nothing else.
func brokenArchive(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), archive.Name(tooltest.StandinVersion, runtime.GOARCH))
	const pack = `mkdir -p "$1/bin"
printf '#!/bin/sh\nexec "$(dirname "$0")/bin/Runner.Listener" run\n' >"$1/run.sh"
printf '#!/bin/sh\n[ "$1" = --version ] && echo %s && exit\necho "cannot find a runtime"; exit 1\n' "$3" >"$1/bin/Runner.Listener"
chmod 755 "$1/run.sh" "$1/bin/Runner.Listener"
tar -C "$1" -czf "$2" .`
	if out, err := exec.Command("sh", "-ec", pack, "sh", t.TempDir(), file, tooltest.StandinVersion).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
