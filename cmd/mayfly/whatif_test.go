package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// whatIfConfig has one pool, of so many runners at once.
const whatIfConfig = `
github: {token: "env:NO_TOKEN"}
webhook: {secrets: ["env:NO_SECRET"]}
state: state
host: {cpus: 100, memory: 400GiB}
pools: [{name: small, labels: [linux], max: %d}]
`

// publishJob puts the three events of a job on the bus that arrived and ran for so many seconds.
func publishJob(t *testing.T, m *machine, start time.Time, id, arrived, runs int, label string) {
	t.Helper()
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	for action, when := range map[string]int{"queued": arrived, "in_progress": arrived + 3, "completed": arrived + 3 + runs} {
		job := fmt.Sprintf(`"id":%d,"run_attempt":1,"labels":[%q],"created_at":%q`, id, label, at(arrived))
		if action != "queued" {
			job += fmt.Sprintf(`,"runner_name":"r","started_at":%q`, at(arrived+3))
		}
		if action == "completed" {
			job += fmt.Sprintf(`,"conclusion":"success","completed_at":%q`, at(when))
		}
		e := event.Event{
			ID: fmt.Sprint(id, action), Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: start.Add(time.Duration(when) * time.Second),
			Detail: fmt.Appendf(nil, `{"action":%q,"workflow_job":{%s},"repository":{"full_name":"acme/web"},"mayfly":{"pool":"small"}}`, action, job),
		}
		if _, err := m.bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatIf compares one runner at once with two, in figures computed by hand (see the test of
// ledger/whatif).
func TestWhatIf(t *testing.T) {
	file, state := writeConfig(t, fmt.Sprintf(whatIfConfig, 1))
	other := filepath.Join(filepath.Dir(file), "other.yaml")
	pattern := filepath.Join(filepath.Dir(file), "pattern.json")
	for name, text := range map[string]string{other: fmt.Sprintf(whatIfConfig, 2), pattern: `{"detail":{"workflow_job":{"labels":["linux"]}}}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := serveStore(t, file, state, false)
	start := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	publishJob(t, m, start, 1, 0, 60, "linux")
	publishJob(t, m, start, 2, 5, 30, "linux")
	publishJob(t, m, start, 3, 100, 10, "linux")
	publishJob(t, m, start, 4, 100, 10, "macos")

	args := []string{"-c", file, "replay", "--from", "1h", "--what-if", other, "--startup", "10s"}
	got := mayflyJSON[whatIfView](t, append(args, "--json")...)
	one := tallyView{Jobs: 3, Started: 3, P50: 20, P95: 75, Max: 75, Runners: 3, Peak: 1, AtMax: 75}
	two := tallyView{Jobs: 3, Started: 3, P50: 10, P95: 10, Max: 10, Runners: 3, Peak: 2}
	small := func(t tallyView) []tallyView { t.Pool = "small"; return []tallyView{t} }
	none := []unroutableView{{Labels: "macos", Jobs: 1}}
	want := whatIfView{Jobs: 4, Startup: 10, Configurations: []configurationView{
		{File: file, Pools: small(one), Total: one, Unroutable: none}, {File: other, Pools: small(two), Total: two, Unroutable: none},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	out, errs, code := mayfly(t, args...)
	for _, line := range []string{"wait, longest", "1m15s", "10.0s", "jobs held by max"} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, line, out, errs)
		}
	}
	if !strings.Contains(errs, "no pool takes 1 jobs with labels macos") {
		t.Errorf("on the side:\n%s", errs)
	}
	if got := mayflyJSON[whatIfView](t, append(args, "--json", "--pattern", pattern)...); got.Jobs != 3 {
		t.Errorf("of those with the label there are %d jobs", got.Jobs)
	}
	if got := mayflyJSON[whatIfView](t, "-c", file, "replay", "--from", "1h", "--what-if", file, "--json"); got.Startup != unmeasured.Seconds() || got.Measured != 0 ||
		!cmp.Equal(got.Configurations[0], got.Configurations[1]) {
		t.Errorf("against itself: %+v", got)
	}
	for args, want := range map[string]string{
		"--from 1h --launch --what-if " + other: "hint: leave out",
		"--from 1h --what-if " + file + ".no":   "hint: mayfly init",
		"--from 1h --what-if " + pattern:        "pools",
		"--from 3h --to 2h --what-if " + other:  "no job was queued in that time",
	} {
		if _, errs, code := mayfly(t, append([]string{"-c", file, "replay"}, strings.Fields(args)...)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, want %q\n%s", args, code, want, errs)
		}
	}
}
