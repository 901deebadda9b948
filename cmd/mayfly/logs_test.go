package main

import (
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestLogs reads what a live runner prints, and what is said of none.
func TestLogs(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{command: `bash, -c, "echo hello from the runner; exec sleep 1000"`})
	logs := func(runner string) (string, string, int) {
		return tooltest.Mayfly(t, "logs", runner, "--config", w.config())
	}
	if _, errs, code := logs("r"); code == 0 || !strings.Contains(errs, "no mayfly up uses") {
		t.Errorf("without mayfly up: %d %s", code, errs)
	}
	w.serve(t)
	if _, errs, code := logs("no-such"); code == 0 || !strings.Contains(errs, `runner "no-such": no such runner`) || !strings.Contains(errs, "mayfly runners") {
		t.Errorf("of a runner that is not there: %d %s", code, errs)
	}
	w.push(t, map[string]string{".github/workflows/x.yml": workflow(1, "true")})
	out := ""
	for !strings.Contains(out, "hello from the runner\n") && t.Context().Err() == nil {
		for _, r := range w.runners(t) {
			out, _, _ = logs(string(r.Name))
		}
	}
	w.up.stop(t)
}
