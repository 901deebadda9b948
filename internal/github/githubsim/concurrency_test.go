package githubsim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// runStates gives each run as its number and state, in order.
func (w *world) runStates() []string {
	var out []string
	for _, r := range w.Runs() {
		out = append(out, fmt.Sprintf("%d %s", r.Number, first(r.Conclusion, r.Status)))
	}
	return out
}

func (w *world) expectRuns(want ...string) {
	w.t.Helper()
	if d := cmp.Diff(want, w.runStates()); d != "" {
		w.t.Errorf("runs (-want +got):\n%s", d)
	}
}

// TestConcurrencyOfRuns: one runs, one waits, and a newer one takes its place.
func TestConcurrencyOfRuns(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	const file = "on: push\nconcurrency: {group: 'Deploy ${{ github.ref_name }}'}\njobs: {d: {runs-on: linux, steps: [{run: 'true'}]}}"
	for range 3 {
		w.push(file)
	}
	w.expectRuns("1 queued", "2 cancelled", "3 pending")
	l.expect("d: queued, queued") // a pending run has no jobs
	if got := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?status=pending", nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v pending runs", got)
	}
	if got := w.Runs()[1].Annotations; len(got) != 1 || got[0].Message != "Canceling since a higher priority waiting request for 'Deploy main' exists" {
		t.Errorf("annotations of the run that was replaced: %+v", got)
	}
	if got := len(newer(l, "workflow_run", "completed")); got != 1 {
		t.Errorf("%d runs were told to be completed, want the one that was replaced", got)
	}
	w.runNext("succeeded", nil, "linux")
	w.expectRuns("1 success", "2 cancelled", "3 queued")
	l.expect("d: in_progress, in_progress", "d: completed, success", "d: queued, queued")
	w.runNext("succeeded", nil, "linux")
	w.expectRuns("1 success", "2 cancelled", "3 success")
	w.push(file) // the group is free again
	w.expectRuns("1 success", "2 cancelled", "3 success", "4 queued")
}

func newer(l *listener, event, action string) []received {
	l.w.settled()
	return l.of(event, action)
}

func TestConcurrencyCancels(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	const file = "on: push\nconcurrency: {group: '%s', cancel-in-progress: '${{ github.ref_name == ''main'' }}'}\njobs: {d: {runs-on: linux, steps: [{run: 'true'}]}}"
	w.push(fmt.Sprintf(file, "Group"))
	r := w.jitRunner("r1", "linux").connect()
	o := r.offered()
	r.acquire(o)
	l.expect("d: queued, queued", "d: in_progress, in_progress")
	w.push(fmt.Sprintf(file, "gROUP"))
	w.expectRuns("1 in_progress", "2 pending")
	if a := r.poll(); a.body["messageType"] != "JobCancellation" {
		t.Errorf("the runner of the first hears %d %s", a.code, a.text)
	}
	r.complete(o, "canceled", nil)
	w.expectRuns("1 cancelled", "2 queued")
	l.expect("d: completed, cancelled", "d: queued, queued")
	w.push(fmt.Sprintf(file, "group")) // the second has not begun, and ends at once
	w.expectRuns("1 cancelled", "2 cancelled", "3 queued")
	l.expect("d: completed, cancelled", "d: queued, queued")
}

func TestConcurrencyQueue(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.push("on: push\nconcurrency: {group: g, queue: max}\njobs: {d: {runs-on: linux, steps: [{run: 'true'}]}}")
	}
	w.expectRuns("1 queued", "2 pending", "3 pending", "4 pending")
	w.runNext("succeeded", nil, "linux")
	w.expectRuns("1 success", "2 queued", "3 pending", "4 pending")
	if err := w.CancelRun(w.Runs()[2].ID); err != nil {
		t.Fatal(err)
	}
	w.runNext("succeeded", nil, "linux")
	w.expectRuns("1 success", "2 success", "3 cancelled", "4 queued")
}

func TestConcurrencyOfJobs(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	const file = `
on: push
jobs:
  build: {runs-on: linux, steps: [{run: "true"}]}
  deploy: {runs-on: linux, concurrency: "deploy-${{ matrix.to }}", strategy: {matrix: {to: [a, b]}}, steps: [{run: "true"}]}
`
	w.push(file)
	l.expect("build: queued, queued", "deploy (a): queued, queued", "deploy (b): queued, queued")
	w.push(file)
	w.push(file)
	w.expect("build queued", "build queued", "build queued", "deploy (a) queued", "deploy (a) cancelled", "deploy (a) pending",
		"deploy (b) queued", "deploy (b) cancelled", "deploy (b) pending")
	l.expect("build: queued, queued", "build: queued, queued", "deploy (a): completed, cancelled", "deploy (b): completed, cancelled")
	var canceled githubsim.Job
	for _, j := range w.Jobs() {
		if j.Conclusion == githubsim.Cancelled {
			canceled = j
		}
	}
	w.annotation(canceled.ID, "Canceling since a higher priority waiting request for 'deploy-b' exists")
	if err := w.CancelRun(w.Runs()[0].ID); err != nil {
		t.Fatal(err)
	}
	l.expect("build: completed, cancelled", "deploy (a): completed, cancelled", "deploy (b): completed, cancelled",
		"deploy (a): queued, queued", "deploy (b): queued, queued")
}

// annotation holds what the page of a job says.
func (w *world) annotation(job int64, want string) {
	w.t.Helper()
	list := w.api(http.StatusOK, "GET", fmt.Sprintf("/repos/acme/web/check-runs/%d/annotations", job), nil).list
	if len(list) != 1 || !strings.Contains(fmt.Sprint(list[0].(map[string]any)["message"]), want) {
		w.t.Errorf("annotations are %v, want %q", list, want)
	}
}

// TestConcurrencyDeadlock: a job must not wait for its own run.
func TestConcurrencyDeadlock(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\nconcurrency: g\njobs: {d: {runs-on: linux, concurrency: G, steps: [{run: 'true'}]}}")
	w.expect("d cancelled")
	w.expectRuns("1 cancelled")
	w.annotation(w.job("d").ID, "deadlock for concurrency group 'G' was detected between 'top level workflow' and 'd'")
}
