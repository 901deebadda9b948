package workflow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

func TestInputsAreTyped(t *testing.T) {
	in := parse(t, `
on:
  workflow_dispatch:
    inputs:
      text: {}
      flag: {type: boolean}
      count: {type: number, default: 3}
      to: {type: choice, options: [test, prod]}
      must: {required: true}
jobs: {a: {runs-on: x, steps: [{run: "true"}]}}
`).Dispatch
	got, err := in.Values(map[string]expr.Value{"MUST": "x", "flag": "true", "count": "4.5"}, expr.Scope{})
	want := map[string]any{"text": "", "flag": true, "count": 4.5, "to": "test", "must": "x"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for want, given := range map[string]map[string]expr.Value{
		`required input "must" not provided`:    {},
		`unexpected inputs provided: ["other"]`: {"must": "x", "other": "1"},
		`"yes": want true or false`:             {"must": "x", "flag": "yes"},
		`"many": want a number`:                 {"must": "x", "count": "many"},
		`"dev": want one of ["test" "prod"]`:    {"must": "x", "to": "dev"},
	} {
		if _, err := in.Values(given, expr.Scope{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", given, err, want)
		}
	}
}

func TestCallsAreChecked(t *testing.T) {
	callee := parse(t, `
on:
  workflow_call:
    inputs: {must: {type: string, required: true}, free: {type: number, default: 1}}
    secrets: {key: {required: true}}
    outputs: {o: {value: "${{ jobs.a.outputs.o }}"}}
jobs: {a: {runs-on: x, steps: [{run: "true"}]}}
`).Call
	if d := cmp.Diff([]workflow.Variable{{Name: "o", Value: "${{ jobs.a.outputs.o }}"}}, callee.Outputs); d != "" {
		t.Error(d)
	}
	for with, want := range map[string]string{
		"with: {must: x}, secrets: inherit":           "",
		"with: {must: x}, secrets: {KEY: y}":          "",
		"secrets: inherit":                            "input must is required, but not provided",
		"with: {must: x}":                             "secret key is required, but not provided",
		"with: {must: x, other: 1}, secrets: inherit": "other is not defined in the referenced workflow",
	} {
		j := parse(t, "on: push\njobs: {c: {uses: ./.github/workflows/x.yml, "+with+"}}").Jobs[0]
		err := callee.CheckCall(&j)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", with, err, want)
		}
	}
}

func TestSchedules(t *testing.T) {
	w := parse(t, "on: {schedule: [{cron: '30 5 * * 1'}, {cron: '0 9 * * *', timezone: Europe/Berlin}]}\njobs: {a: {runs-on: x, steps: [{run: a}]}}")
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) // a Saturday
	for i, want := range []time.Time{time.Date(2026, 2, 2, 5, 30, 0, 0, time.UTC), time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)} {
		if got := w.Schedules[i].Next(start); !got.Equal(want) {
			t.Errorf("%+v is next due at %v, want %v", w.Schedules[i], got, want)
		}
	}
}

// TestEmpty has what GitHub takes empty, and what it does not.
func TestEmpty(t *testing.T) {
	for part, want := range map[string]bool{
		"needs: []": true, "env: {}": true, "services: {}": true, "outputs: {}": true, "strategy: {}": true, "if: ''": true, "container: ''": true,
		"environment: ''": true, "strategy: {matrix: {a: [1], include: []}}": true, "cancel-timeout-minutes: 5": true,
		"env:": false, "strategy: {matrix: {a: []}}": false, "steps: []": false, "nosuch: 1": false, "concurrency: ''": false, "timeout-minutes: '5'": false,
	} {
		_, faults := workflow.Parse(file, []byte("on: push\njobs:\n  a:\n    "+part+"\n    runs-on: x\n    steps: [{run: '', env: {}}, {uses: a/b@c, with: {}}]\n"))
		if (len(faults) == 0) != want {
			t.Errorf("%s: faults %v, want none: %v", part, faults, want)
		}
	}
}

// TestTaken has what GitHub takes and actionlint refuses.
func TestTaken(t *testing.T) {
	w := parse(t, `
on: push
concurrency: {group: all, queue: max}
permissions: {models: read}
jobs:
  a:
    runs-on: &unused x
    snapshot: {image-name: i, version: 2.*}
    concurrency: {group: one, queue: max}
    services: {db: {image: i, entrypoint: e, command: c d, volumes: ["a:b"]}}
    steps: [{run: "true"}]
`)
	if got := w.Concurrency.Queue + w.Jobs[0].Concurrency.Queue; got != "maxmax" {
		t.Errorf("queues are %q", got)
	}
	if got := w.Jobs[0].Services[0]; got.Entrypoint+got.Command != "ec d" || len(got.Volumes) != 1 || len(got.Ports) != 0 {
		t.Errorf("the service is %+v", got)
	}
}
