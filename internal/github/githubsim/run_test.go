package githubsim_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// states gives each job as "name status/conclusion", sorted.
func (w *world) states() []string {
	var out []string
	for _, j := range w.Jobs() {
		out = append(out, j.Name+" "+cmp.Or(j.Conclusion, j.Status))
	}
	slices.Sort(out)
	return out
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if d := diff.Diff(want, w.states()); d != "" {
		w.t.Errorf("jobs (-want +got):\n%s", d)
	}
}

func TestNeeds(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
jobs:
  build:
    runs-on: linux
    outputs: {version: "${{ steps.v.outputs.v }}"}
    steps: [{id: v, run: "true"}]
  test:
    needs: build
    runs-on: linux
    name: test ${{ needs.build.outputs.version }}
    steps: [{run: "true"}]
  publish:
    needs: [build, test]
    runs-on: linux
    steps: [{run: "true"}]
  notify:
    needs: test
    if: failure()
    runs-on: linux
    steps: [{run: "true"}]
  clean:
    needs: [publish]
    if: always() && contains(needs.*.result, 'skipped')
    runs-on: linux
    steps: [{run: "true"}]
`)
	w.expect("build queued")
	w.runNext("succeeded", map[string]string{"version": "1.2"}, "linux")
	w.expect("build success", "test 1.2 queued")
	w.runNext("failed", nil, "linux")
	w.expect("build success", "test 1.2 failure", "publish skipped", "notify queued", "clean queued")
	w.runNext("succeeded", nil, "linux")
	w.runNext("succeeded", nil, "linux")
	w.expect("build success", "test 1.2 failure", "publish skipped", "notify success", "clean success")
	run := w.Runs()[0]
	if run.Conclusion != githubsim.Failure {
		t.Errorf("run is %+v", run)
	}

	if err := w.Rerun(run.ID, false); err != nil {
		t.Fatal(err)
	}
	w.runNext("succeeded", nil, "linux")
	var again []githubsim.Job
	for _, j := range w.Jobs() {
		if j.Attempt == 2 {
			again = append(again, j)
		}
	}
	got := []string{}
	for _, j := range again {
		got = append(got, j.Key+" "+cmp.Or(j.Conclusion, j.Status))
	}
	want := []string{"build success", "test success", "publish queued", "notify skipped"}
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("second attempt (-want +got):\n%s", d)
	}
	w.api(http.StatusOK, "GET", fmt.Sprintf("/repos/acme/web/actions/runs/%d/attempts/2/jobs", run.ID), nil)
}

// TestSkippedIsInherited: success() asks for all that a job needs, however far.
func TestSkippedIsInherited(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
jobs:
  a: {runs-on: linux, if: github.ref == 'x', steps: [{run: "true"}]}
  b: {runs-on: linux, needs: a, if: always(), steps: [{run: "true"}]}
  c: {runs-on: linux, needs: b, steps: [{run: "true"}]}
`)
	w.runNext("succeeded", nil, "linux")
	w.expect("a skipped", "b success", "c skipped")
}

func TestMatrixFailsFast(t *testing.T) {
	const file = `
on: push
jobs:
  t:
    runs-on: "${{ matrix.os }}"
    continue-on-error: ${{ matrix.os == 'c' }}
    strategy: {fail-fast: %v, max-parallel: 2, matrix: {os: [a, b, c]}}
    steps: [{run: "true"}]
`
	t.Run("fast", func(t *testing.T) {
		w := newWorld(t)
		w.push(fmt.Sprintf(file, true))
		w.expect("t (a) queued", "t (b) queued", "t (c) queued")
		if got := w.jitRunner("early", "c").connect().poll().code; got != http.StatusAccepted {
			t.Errorf("the third leg was given out: %d", got)
		}
		w.runNext("failed", nil, "a")
		w.expect("t (a) failure", "t (b) cancelled", "t (c) cancelled")
	})
	t.Run("slow", func(t *testing.T) {
		w := newWorld(t)
		w.push(fmt.Sprintf(file, false))
		w.runNext("succeeded", nil, "a")
		w.runNext("failed", nil, "c")
		w.runNext("succeeded", nil, "b")
		w.expect("t (a) success", "t (b) success", "t (c) failure")
		if got := w.Runs()[0].Conclusion; got != githubsim.Success {
			t.Errorf("a forgiven failure gives %s", got)
		}
	})
}

func TestFaultyFilesAndExpressions(t *testing.T) {
	w := newWorld(t)
	runs := w.push("on: push\njobs:\n  a:\n    runs-on: linux\n    needs: [b]\n    steps: [{run: 'true'}]\n")
	if len(runs) != 1 || runs[0].Conclusion != githubsim.StartupFailure || len(w.Jobs()) != 0 {
		t.Fatalf("runs: %+v", runs)
	}
	if got := runs[0].Faults[0].Error(); !strings.HasPrefix(got, ".github/workflows/ci.yml:5:") {
		t.Errorf("fault is %q", got)
	}
	w.push("on: push\njobs:\n  a:\n    runs-on: \"${{ fromJSON('[oops') }}\"\n    steps: [{run: 'true'}]\n")
	if got := w.job("a"); got.Conclusion != githubsim.Failure || !strings.Contains(got.Fault, "oops") {
		t.Errorf("job is %+v", got)
	}
}

func TestCancelBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	run := w.push(`
on: push
jobs:
  a: {runs-on: linux, steps: [{run: "true"}]}
  b: {runs-on: linux, needs: a, steps: [{run: "true"}]}
  c: {runs-on: linux, needs: a, if: always(), steps: [{run: "true"}]}
`)[0]
	if got := w.unchecked("POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/cancel", run.ID), nil); got != http.StatusAccepted {
		t.Errorf("cancelling: %d", got)
	}
	w.expect("a cancelled", "b cancelled", "c queued")
	w.runNext("succeeded", nil, "linux")
	if got := w.Runs()[0].Conclusion; got != githubsim.Cancelled {
		t.Errorf("run is %s", got)
	}
}

func TestRunsAndJobsByAPI(t *testing.T) {
	w := newWorld(t)
	run := w.push(one)[0]
	path := fmt.Sprintf("/repos/acme/web/actions/runs/%d", run.ID)
	w.api(http.StatusOK, "GET", path, nil)
	if got := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?status=queued", nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v queued runs", got)
	}
	if got := w.api(http.StatusOK, "GET", path+"/jobs", nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v jobs", got)
	}
	w.api(http.StatusForbidden, "DELETE", path, nil)
	w.runNext("succeeded", nil, "linux", "x64")
	job := "/repos/acme/web/actions/jobs/" + id(w.job("build").ID)
	if got := w.api(http.StatusOK, "GET", job, nil).body["conclusion"]; got != "success" {
		t.Errorf("conclusion is %v", got)
	}
	if got := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?status=queued", nil).body["total_count"]; got != 0.0 {
		t.Errorf("%v queued runs", got)
	}
	w.api(http.StatusNoContent, "DELETE", path, nil)
	w.api(http.StatusNotFound, "GET", job, nil)
}

// TestRunsAreFiltered is past GitHub's description, which takes created for a time
// and not for the range that its own text says.
func TestRunsAreFiltered(t *testing.T) {
	w := newWorld(t) // at 2026-01-31T12:00:00Z
	w.push(one)
	server := httptest.NewServer(w.Sim)
	defer server.Close()
	sha := w.Runs()[0].SHA
	for query, want := range map[string]float64{
		"": 1, "event=push": 1, "event=schedule": 0, "branch=main": 1, "branch=dev": 0, "head_sha=" + sha: 1, "actor=octocat": 1, "actor=mona": 0,
		"created=2026-01-31": 1, "created=2026-01-30": 0, "created=>=2026-01-31": 1, "created=>2026-01-31": 0, "created=<2026-01-31": 0, "created=<=2026-01-31": 1,
		"created=>=2026-01-31T12:00:00Z": 1, "created=>=2026-01-31T12:00:01Z": 0, "created=2026-01-01..2026-02-01": 1, "created=2026-02-01..*": 0, "created=*..2026-01-31": 1,
		"status=queued&event=push": 1, "status=success": 0,
	} {
		if got := w.call("Bearer "+pat, "GET", server.URL+"/repos/acme/web/actions/runs?"+query, nil).body["total_count"]; got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
}
