package githubsim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

func TestDispatch(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(`
on:
  workflow_dispatch:
    inputs: {to: {default: test}, deep: {type: boolean}, n: {type: number, default: 3}, env: {type: choice, options: [a, b]}}
run-name: Deploy to ${{ inputs.to }}
jobs:
  d: {name: "to ${{ inputs.to }} ${{ inputs.n + 0 || inputs.n == 3 }}", runs-on: linux, steps: [{run: 'true'}]}
`)
	l.expect() // it has a fault: + is no operator
	w.push(`
on:
  workflow_dispatch:
    inputs: {to: {default: test}, deep: {type: boolean}, n: {type: number, default: 3}, env: {type: choice, options: [a, b]}}
run-name: Deploy to ${{ inputs.to }}
jobs:
  d: {name: "to ${{ inputs.to }} ${{ inputs.n == 3 }} ${{ inputs.deep && 'deep' || 'flat' }} ${{ github.event.inputs.deep }}", runs-on: linux, steps: [{run: 'true'}]}
`)
	if _, err := w.Dispatch("acme/web", "ci.yml", "main", map[string]any{"to": "prod", "n": 4, "deep": true}); err != nil {
		t.Fatal(err)
	}
	const path = "/repos/acme/web/actions/workflows/ci.yml/dispatches"
	w.api(http.StatusNoContent, "POST", path, map[string]any{"ref": "main", "inputs": map[string]any{"deep": "false"}})
	l.expect("to prod false deep true: queued, queued", "to test true flat false: queued, queued")
	a := w.api(http.StatusOK, "POST", path, map[string]any{"ref": "refs/heads/main", "return_run_details": true})
	runs := w.Runs()
	if last := runs[len(runs)-1]; a.body["workflow_run_id"] != float64(last.ID) || last.Event != "workflow_dispatch" {
		t.Errorf("details are %s", a.text)
	}
	list := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?event=workflow_dispatch", nil).body["workflow_runs"].([]any)
	if got := list[1].(map[string]any)["display_title"]; len(list) != 3 || got != "Deploy to test" {
		t.Errorf("%d runs, the title is %v", len(list), got)
	}
	for name, body := range map[string]map[string]any{
		"no such ref":   {"ref": "none"},
		"no such input": {"ref": "main", "inputs": map[string]any{"x": "1"}},
		"no boolean":    {"ref": "main", "inputs": map[string]any{"deep": "maybe"}},
		"no choice":     {"ref": "main", "inputs": map[string]any{"env": "c"}},
	} {
		if got := w.unchecked("POST", "/api/v3"+path, body); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := w.unchecked("POST", "/api/v3/repos/acme/web/actions/workflows/none.yml/dispatches", map[string]any{"ref": "main"}); got != http.StatusNotFound {
		t.Errorf("a workflow that is not there: %d", got)
	}
}

// TestSchedule: a workflow of the default branch is started when it is due, by the
// Sim's clock, and once however long the clock stood still.
func TestSchedule(t *testing.T) {
	w := newWorld(t) // at 12:00 UTC
	l := w.listen(t)
	const file = "on: {schedule: [{cron: '30 * * * *'}]}\njobs: {s: {runs-on: linux, name: 'on ${{ github.event.schedule }}', steps: [{run: 'true'}]}}"
	w.push(file)
	if _, err := w.Push(githubsim.Push{Repository: "acme/web", Branch: "other", Files: map[string]string{".github/workflows/x.yml": file}}); err != nil {
		t.Fatal(err)
	}
	w.Expire()
	l.expect()
	w.clock.advance(30 * time.Minute)
	w.Expire()
	w.Expire()
	l.expect("on 30 * * * *: queued, queued")
	if got := w.Runs(); len(got) != 1 || got[0].Event != "schedule" || got[0].Ref != "refs/heads/main" {
		t.Errorf("runs: %+v", got)
	}
	w.clock.advance(5 * time.Hour)
	w.Expire()
	l.expect("on 30 * * * *: queued, queued")
}

func TestVarsAreRepositoryVariables(t *testing.T) {
	w := newWorld(t)
	const base = "/repos/acme/web/actions/variables"
	w.api(http.StatusCreated, "POST", base, map[string]any{"name": "pool", "value": "small"})
	if got := w.unchecked("POST", "/api/v3"+base, map[string]any{"name": "POOL", "value": "x"}); got != http.StatusConflict {
		t.Errorf("a name that is taken: %d", got)
	}
	w.push("on: push\njobs: {v: {runs-on: '${{ vars.pool }}', name: '${{ vars.none || 1 }}', steps: [{run: 'true'}]}}")
	if got := w.job("1").Labels; len(got) != 1 || got[0] != "small" {
		t.Errorf("labels are %q", got)
	}
	w.api(http.StatusNoContent, "PATCH", base+"/pool", map[string]any{"value": "large"})
	if got := w.api(http.StatusOK, "GET", base+"/POOL", nil).body["value"]; got != "large" {
		t.Errorf("value is %v", got)
	}
	if got := w.api(http.StatusOK, "GET", base, nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v variables", got)
	}
	w.api(http.StatusNoContent, "DELETE", base+"/pool", nil)
	w.api(http.StatusNotFound, "GET", base+"/pool", nil)
}

// TestUnsentEvents: what the simulator cannot do stands on the run.
func TestUnsentEvents(t *testing.T) {
	w := newWorld(t)
	run := w.push("on: [push, pull_request]\njobs: {a: {runs-on: linux, steps: [{run: 'true'}]}}")[0]
	if len(run.Annotations) != 1 || run.Annotations[0].Level != githubsim.LevelNotice || run.Annotations[0].Message != "githubsim sends no pull_request: it never starts this workflow" {
		t.Errorf("annotations: %+v", run.Annotations)
	}
	list := w.call("Bearer "+pat, "GET", "/_sim/runs", nil).list
	if len(list) != 1 || list[0].(map[string]any)["Annotations"] == nil {
		t.Errorf("runs are told as %v", list)
	}
}
