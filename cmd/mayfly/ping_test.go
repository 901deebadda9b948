package main

import (
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestPing has GitHub ping a real mayfly up, with the webhook's secret and with another.
func TestPing(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	ping := func(code int, want ...string) {
		t.Helper()
		out, errs, got := w.mayfly(t, "webhook", "ping")
		for _, text := range want {
			if got != code || !strings.Contains(out+errs, text) {
				t.Errorf("mayfly webhook ping: exit code %d, want %d and %q\n%s%s", got, code, text, out, errs)
			}
		}
	}
	ping(0, "was answered with 202")
	w.up.stop(t)
	w.secret = "0123456789-another" // GitHub has still the one before
	w.serve(t)
	ping(1, "a ping was answered with 401", "hint: GitHub signs with another secret")
	w.up.stop(t)
}
