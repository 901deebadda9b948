package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/tool"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// whatIfConfig has one pool, of so many runners at once.
const whatIfConfig = `
github: {token: "env:NO_TOKEN"}
webhook: {secrets: ["env:NO_SECRET"]}
state: state
host: {cpus: 100, memory: 400GiB}
pools: [{name: small, labels: [linux], max: %d}]
`

// TestWhatIf compares one runner at once with two, in figures computed by hand (see the test of
// ledger/whatif).
func TestWhatIf(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, fmt.Sprintf(whatIfConfig, 1))
	other := filepath.Join(filepath.Dir(file), "other.yaml")
	pattern := filepath.Join(filepath.Dir(file), "pattern.json")
	for name, text := range map[string]string{other: fmt.Sprintf(whatIfConfig, 2), pattern: `{"detail":{"workflow_job":{"labels":["linux"]}}}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := serveStore(t, file, state, false)
	for _, e := range tooltest.Traffic() {
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}

	args := []string{"-c", file, "replay", "--from", "1h", "--what-if", other, "--startup", "10s"}
	got := tooltest.JSON[tool.WhatIf](t, append(args, "--json")...)
	if diff := cmp.Diff(tooltest.Compared(file, other), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	out, errs, code := tooltest.Mayfly(t, args...)
	for _, line := range []string{"wait, longest", "1m15s", "10.0s", "jobs held by max"} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, line, out, errs)
		}
	}
	if !strings.Contains(errs, "no pool takes 1 jobs with labels macos") {
		t.Errorf("on the side:\n%s", errs)
	}
	if got := tooltest.JSON[tool.WhatIf](t, append(args, "--json", "--pattern", pattern)...); got.Jobs != 3 {
		t.Errorf("of those with the label there are %d jobs", got.Jobs)
	}
	if got := tooltest.JSON[tool.WhatIf](t, "-c", file, "replay", "--from", "1h", "--what-if", file, "--json"); got.Startup != 10 || got.Measured != 0 ||
		!cmp.Equal(got.Configurations[0], got.Configurations[1]) {
		t.Errorf("against itself: %+v", got)
	}
	for args, want := range map[string]string{
		"--from 1h --launch --what-if " + other: "hint: leave out",
		"--from 1h --what-if " + file + ".no":   "hint: mayfly init",
		"--from 1h --what-if " + pattern:        "pools",
		"--from 3h --to 2h --what-if " + other:  "no job was queued in that time",
	} {
		if _, errs, code := tooltest.Mayfly(t, append([]string{"-c", file, "replay"}, strings.Fields(args)...)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, want %q\n%s", args, code, want, errs)
		}
	}
}
