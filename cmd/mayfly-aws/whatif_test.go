package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/tool"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestWhatIfOnAWS compares the same with a stack's log of events, in which there is more: events of
// other kinds, one twice, and those of a replay. The host of this machine does not count.
func TestWhatIfOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	yaml := strings.Replace(w.cloudYAML(), "labels: [self-hosted, small]", "labels: [linux], cpus: 100, max: %d", 1)
	yaml = strings.Replace(yaml, "aws: {", "aws: {hosts: {amd64_types: [m7i.48xlarge]}, ", 1)
	yaml = strings.Replace(yaml, `  - {name: own, labels: [self-hosted, own], image: "ghcr.io/acme/runner:1"}`, "", 1)
	other := filepath.Join(w.dir, "other.yaml")
	w.write(t, w.config(), fmt.Sprintf(yaml, 1))
	w.write(t, other, fmt.Sprintf(yaml, 2))
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	events := tooltest.Traffic()
	again := tooltest.JobEvents(time.Now().Add(-time.Minute), 9, 0, 1, "linux")[0]
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
	got := asJSON[tool.WhatIf](t, w, append(args, other)...)
	if diff := cmp.Diff(tooltest.Compared(w.config(), other), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	machine := filepath.Join(w.dir, "machine.yaml")
	w.write(t, machine, "host: {cpus: 1}\n"+strings.Replace(fmt.Sprintf(yaml, 2), "platform: aws", "platform: machine", 1))
	if got := asJSON[tool.WhatIf](t, w, append(args, machine)...); got.Configurations[1].Total.Started != 0 {
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
		for _, e := range tooltest.JobEvents(time.Now().Add(-time.Hour), id+1, 0, 60, "linux") {
			line, err := e.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
	}
	w.cloud.PutLog(t, "/aws/events/ci", lines...)
	got := asJSON[tool.WhatIf](t, w, "replay", "--from", "2h", "--startup", "150s", "--json", "--what-if", w.config())
	for _, c := range got.Configurations {
		if c.Total.Runners != 2 || c.Total.Started != 2 {
			t.Errorf("%s: %d runners, %d jobs started: want 2 and 2", c.File, c.Total.Runners, c.Total.Started)
		}
	}
}
