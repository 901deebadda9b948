package githubsim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestRerunFailed: GitHub tells at once of each job that does not run again, as
// completed, with a new id and attempt and the name of the runner that it had.
func TestRerunFailed(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push(`
on: push
jobs:
  good: {strategy: {fail-fast: false, matrix: {n: [1, 2]}}, runs-on: "good-${{ matrix.n }}", outputs: {o: "${{ steps.s.outputs.o }}"}, steps: [{id: s, run: "true"}]}
  mixed: {strategy: {fail-fast: false, matrix: {n: [1, 2]}}, runs-on: "mixed-${{ matrix.n }}", steps: [{run: "true"}]}
  after: {needs: [good, mixed], name: "after ${{ needs.good.outputs.o }}", runs-on: linux, steps: [{run: "true"}]}
  never: {if: false, runs-on: linux, steps: [{run: "true"}]}
`)[0]
	w.runNext("succeeded", map[string]string{"o": "x"}, "good-1")
	w.runNext("succeeded", nil, "good-2")
	w.runNext("succeeded", nil, "mixed-1")
	w.runNext("failed", nil, "mixed-2")
	w.expectRuns("1 failure")
	old := map[int64]string{}
	for _, j := range w.Jobs() {
		old[j.ID] = j.Runner
	}
	l.news()
	path := fmt.Sprintf("/repos/acme/web/actions/runs/%d/rerun-failed-jobs", run.ID)
	w.api(http.StatusCreated, "POST", path, nil)
	carried := map[string]bool{}
	for _, p := range l.news() {
		if p.Job.Attempt != 2 || old[p.Job.ID] != "" {
			t.Errorf("attempt %d, id %d", p.Job.Attempt, p.Job.ID)
		}
		if p.Action != "completed" {
			if p.Job.Name != "mixed (2)" || p.Action != "queued" {
				t.Errorf("%s of %s", p.Action, p.Job.Name)
			}
			continue
		}
		carried[p.Job.Name] = true
		if p.Job.Name != "never" && (*p.Job.Conclusion != "success" || p.Job.Runner == nil || *p.Job.Runner == "" || p.Job.RunnerID != nil) {
			t.Errorf("carried over: %+v", p.Job)
		}
	}
	if len(carried) != 4 || !carried["good (1)"] || !carried["good (2)"] || !carried["mixed (1)"] || !carried["never"] {
		t.Errorf("carried over: %v", carried)
	}
	w.api(http.StatusForbidden, "POST", path, nil) // it runs
	w.runNext("succeeded", nil, "mixed-2")
	w.runNext("succeeded", nil, "linux")
	l.expect("mixed (2): in_progress, in_progress", "mixed (2): completed, success",
		"after x: queued, queued", "after x: in_progress, in_progress", "after x: completed, success")
	w.expectRuns("1 success")
	if got := w.api(http.StatusOK, "GET", fmt.Sprintf("/repos/acme/web/actions/runs/%d/jobs", run.ID), nil).body["total_count"]; got != 6.0 {
		t.Errorf("%v jobs of the second attempt", got)
	}
	w.clock.advance(31 * 24 * time.Hour)
	w.api(http.StatusForbidden, "POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/rerun", run.ID), nil)
}

func TestRerunOneJob(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push("on: push\njobs: {a: {runs-on: a, steps: [{run: 'true'}]}, b: {runs-on: b, steps: [{run: 'true'}]}, c: {needs: a, runs-on: c, steps: [{run: 'true'}]}}")
	for _, label := range []string{"a", "b", "c"} {
		w.runNext("succeeded", nil, label)
	}
	l.news()
	w.api(http.StatusCreated, "POST", fmt.Sprintf("/repos/acme/web/actions/jobs/%d/rerun", w.job("a").ID), nil)
	l.expect("a: queued, queued", "b: completed, success")
	w.runNext("succeeded", nil, "a")
	l.expect("a: in_progress, in_progress", "a: completed, success", "c: queued, queued")
}

func TestRerunAll(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push("on: push\njobs: {a: {runs-on: a, steps: [{run: 'true'}]}, b: {if: false, runs-on: b, steps: [{run: 'true'}]}}")[0]
	w.runNext("succeeded", nil, "a")
	l.news()
	w.api(http.StatusCreated, "POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/rerun", run.ID), nil)
	l.expect("a: queued, queued", "b: completed, skipped")
	if got := w.Runs()[0]; got.Attempt != 2 || got.Status != githubsim.StatusQueued {
		t.Errorf("run is %+v", got)
	}
}
