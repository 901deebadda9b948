package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// jobEvents are the three events of a job that arrived and ran for so many seconds.
func jobEvents(start time.Time, id, arrived, runs int, label string) (events []event.Event) {
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	for action, when := range map[string]int{"queued": arrived, "in_progress": arrived + 3, "completed": arrived + 3 + runs} {
		job := fmt.Sprintf(`"id":%d,"run_attempt":1,"labels":[%q],"created_at":%q`, id, label, at(arrived))
		if action != "queued" {
			job += fmt.Sprintf(`,"runner_name":"r","started_at":%q`, at(arrived+3))
		}
		if action == "completed" {
			job += fmt.Sprintf(`,"conclusion":"success","completed_at":%q`, at(when))
		}
		events = append(events, event.Event{
			ID: fmt.Sprint(id, action), Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: start.Add(time.Duration(when) * time.Second),
			Detail: fmt.Appendf(nil, `{"action":%q,"workflow_job":{%s},"repository":{"full_name":"acme/web"},"mayfly":{"pool":"small"}}`, action, job),
		})
	}
	return events
}

// traffic is what TestWhatIf and TestWhatIfOnAWS compare two configurations by: three jobs that a
// pool takes, and one that none does.
func traffic() (events []event.Event) {
	start := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	return slices.Concat(jobEvents(start, 1, 0, 60, "linux"), jobEvents(start, 2, 5, 30, "linux"), jobEvents(start, 3, 100, 10, "linux"), jobEvents(start, 4, 100, 10, "macos"))
}

// compared is what comes of the traffic with one runner at once, and with two, if they take 10 s to start.
func compared(file, other string) whatIfView {
	one := tallyView{Jobs: 3, Started: 3, P50: 20, P95: 75, Max: 75, Runners: 3, Peak: 1, AtMax: 75}
	two := tallyView{Jobs: 3, Started: 3, P50: 10, P95: 10, Max: 10, Runners: 3, Peak: 2}
	small := func(t tallyView) []tallyView { t.Pool = "small"; return []tallyView{t} }
	none := []unroutableView{{Labels: "macos", Jobs: 1}}
	return whatIfView{Jobs: 4, Startup: 10, Configurations: []configurationView{
		{File: file, Pools: small(one), Total: one, Unroutable: none}, {File: other, Pools: small(two), Total: two, Unroutable: none},
	}}
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
	for _, e := range traffic() {
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}

	args := []string{"-c", file, "replay", "--from", "1h", "--what-if", other, "--startup", "10s"}
	got := mayflyJSON[whatIfView](t, append(args, "--json")...)
	if diff := cmp.Diff(compared(file, other), got); diff != "" {
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

// TestWhatIfOnAWS compares the same with a stack's log of events, in which there is more: events of
// other kinds, one twice, and those of a replay. The host of this machine does not count.
func TestWhatIfOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	yaml := strings.Replace(w.cloudYAML(), "labels: [self-hosted, small]", "labels: [linux], cpus: 100, max: %d", 1)
	yaml = strings.Replace(yaml, `  - {name: own, labels: [self-hosted, own], image: "ghcr.io/acme/runner:1"}`, "", 1)
	other := filepath.Join(w.dir, "other.yaml")
	w.write(t, w.config(), fmt.Sprintf(yaml, 1))
	w.write(t, other, fmt.Sprintf(yaml, 2))
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	events := traffic()
	again := jobEvents(time.Now().Add(-time.Minute), 9, 0, 1, "linux")[0]
	again.ReplayName = "again"
	var lines []string
	for _, e := range append(events, events[3], again, event.Event{ID: "w", Source: event.SourceGitHub, DetailType: "workflow_run", Time: time.Now(), Detail: []byte(`{"about":"workflow_job"}`)}) {
		line, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	w.cloud.PutLog(t, "/aws/events/ci", append(lines, "no event, of no workflow_job")...)
	args := []string{"replay", "--from", "2h", "--startup", "10s", "--json", "--what-if"}
	got := asJSON[whatIfView](t, w, append(args, other)...)
	if diff := cmp.Diff(compared(w.config(), other), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	machine := filepath.Join(w.dir, "machine.yaml")
	w.write(t, machine, "host: {cpus: 1}\n"+strings.Replace(fmt.Sprintf(yaml, 2), "platform: aws", "platform: machine", 1))
	if got := asJSON[whatIfView](t, w, append(args, machine)...); got.Configurations[1].Total.Started != 0 {
		t.Errorf("on a machine with one CPU: %+v: want that no job starts", got.Configurations[1].Total)
	}
}

// TestWhatIfOnAWSHasTheDeadlinesOfTheStack: on hosts that take 150 s to come, a stack starts one
// runner for each of two jobs. With the deadlines of one machine it would give up each runner
// before it listens, and start hundreds.
func TestWhatIfOnAWSHasTheDeadlinesOfTheStack(t *testing.T) {
	w := newCloudWorld(t)
	yaml := strings.Replace(w.cloudYAML(), "labels: [self-hosted, small]", "labels: [linux], max: 5", 1)
	w.write(t, w.config(), yaml)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	var lines []string
	for id := range 2 {
		for _, e := range jobEvents(time.Now().Add(-time.Hour), id+1, 0, 60, "linux") {
			line, err := e.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
	}
	w.cloud.PutLog(t, "/aws/events/ci", lines...)
	got := asJSON[whatIfView](t, w, "replay", "--from", "2h", "--startup", "150s", "--json", "--what-if", w.config())
	for _, c := range got.Configurations {
		if c.Total.Runners != 2 || c.Total.Started != 2 {
			t.Errorf("%s: %d runners, %d jobs started: want 2 and 2", c.File, c.Total.Runners, c.Total.Started)
		}
	}
}
