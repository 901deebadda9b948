package tooltest

import (
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// JobEvents are the three events of a job that arrived and ran for so many seconds.
func JobEvents(start time.Time, id, arrived, runs int, label string) (events []event.Event) {
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

// Traffic is what TestWhatIf and TestWhatIfOnAWS compare two configurations by: three jobs that a
// pool takes, and one that none does.
func Traffic() (events []event.Event) {
	start := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	return slices.Concat(JobEvents(start, 1, 0, 60, "linux"), JobEvents(start, 2, 5, 30, "linux"), JobEvents(start, 3, 100, 10, "linux"), JobEvents(start, 4, 100, 10, "macos"))
}

// Compared is what comes of the traffic with one runner at once, and with two, if they take 10 s to start.
func Compared(file, other string) tool.WhatIf {
	one := tool.Tally{Jobs: 3, Started: 3, P50: 20, P95: 75, Max: 75, Runners: 3, Peak: 1, AtMax: 75}
	two := tool.Tally{Jobs: 3, Started: 3, P50: 10, P95: 10, Max: 10, Runners: 3, Peak: 2}
	small := func(t tool.Tally) []tool.Tally { t.Pool = "small"; return []tool.Tally{t} }
	none := []tool.Unroutable{{Labels: "macos", Jobs: 1}}
	return tool.WhatIf{Jobs: 4, Startup: 10, Configurations: []tool.Configuration{
		{File: file, Pools: small(one), Total: one, Unroutable: none}, {File: other, Pools: small(two), Total: two, Unroutable: none},
	}}
}
