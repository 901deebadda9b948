package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestCanaryOfGiteasRunner: the real runner of Gitea, in an image of the kept source, runs the canary job.
func TestCanaryOfGiteasRunner(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../../bin/forge/gitea-runner")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("Gitea's runner is not built: make forge does it")
	}
	b, base := imageStore(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "gitea-runner-1.0.8-linux-"+runtime.GOARCH)
	if err := os.Symlink(program, file); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "mayfly.yaml")
	const text = `forge: gitea
gitea: {url: 'http://127.0.0.1:3000', token: env:MAYFLY_TEST_TOKEN}
webhook: {at: acme, url: 'https://mayfly.example.com/webhook', secrets: [env:MAYFLY_TEST_TOKEN]}
pools: [{name: small, labels: [self-hosted], cpus: 1, memory: 1GiB}]
`
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	built := tooltest.JSON[engine.Image](t, "image", "build", "-c", settings, "--agent-archive", file, "--base", base, "--json")
	t.Cleanup(func() { b.Remove(context.Background(), built.Digest) })
	if built.Version != "1.0.8" {
		t.Errorf("version %s, want 1.0.8", built.Version)
	}
	out, errs, code := tooltest.Mayfly(t, "image", "canary", "-c", settings, built.Digest)
	if code != 0 || !strings.Contains(out, "ran the canary job and left") {
		t.Errorf("exit code %d, want 0\n%s%s", code, out, errs)
	}
}
