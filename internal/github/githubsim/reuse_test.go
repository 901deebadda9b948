package githubsim_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// caller and called are a workflow that calls another, with all that can pass.
const (
	caller = `
name: CI
on: push
env: {LEVEL: caller}
jobs:
  plan:
    runs-on: linux
    outputs: {os: "${{ steps.s.outputs.os }}"}
    steps: [{id: s, run: "true"}]
  call:
    needs: plan
    name: Call ${{ matrix.v }}
    strategy: {matrix: {v: [1, 2]}}
    uses: ./.github/workflows/called.yml
    with: {runner: "${{ needs.plan.outputs.os }}", count: "${{ matrix.v }}", deep: true}
    secrets: {token: "${{ secrets.deploy }}-x"}
  after:
    needs: call
    runs-on: linux
    name: after ${{ needs.call.outputs.image }}
    steps: [{run: "true"}]
`
	called = `
name: Called
on:
  workflow_call:
    inputs:
      runner: {type: string, required: true}
      count: {type: number}
      deep: {type: boolean}
      free: {type: string, default: "of ${{ github.repository }}"}
    secrets: {token: {required: true}}
    outputs: {image: {value: "${{ jobs.build.outputs.image }}"}}
env: {LEVEL: called}
jobs:
  build:
    runs-on: [self-hosted, "${{ inputs.runner }}"]
    name: build ${{ inputs.count == 1 && 'first' || inputs.count }} ${{ inputs.free }}
    outputs: {image: "${{ steps.s.outputs.image }}"}
    steps: [{id: s, run: 'echo ${{ inputs.deep }} "${{ secrets.token }}"'}]
  scan:
    needs: build
    if: inputs.deep
    uses: acme/lib/.github/workflows/scan.yml@v1
  never: {needs: build, if: "!inputs.deep", uses: acme/lib/.github/workflows/scan.yml@v1}
`
	scan = "on: workflow_call\njobs: {scan: {runs-on: scanner, steps: [{run: 'true'}]}}"
)

// withLibrary adds the repository that called calls, at the branch v1.
func (w *world) withLibrary() {
	w.t.Helper()
	w.repository(githubsim.Repository{Name: "acme/lib", Private: true})
	if _, err := w.Push(githubsim.Push{Repository: "acme/lib", Branch: "v1", Files: map[string]string{".github/workflows/scan.yml": scan}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestReusableWorkflows(t *testing.T) {
	w := newWorld(t)
	w.withLibrary()
	w.repository(githubsim.Repository{Name: "acme/app", Secrets: map[string]string{"deploy": "s3"}})
	l := w.listen(t)
	w.webhookOf("acme/app", l.receiver)
	if _, err := w.Push(githubsim.Push{Repository: "acme/app", Files: map[string]string{".github/workflows/ci.yml": caller, ".github/workflows/called.yml": called}}); err != nil {
		t.Fatal(err)
	}
	l.expect("plan: queued, queued")
	w.runNextOf("acme/app", "succeeded", map[string]string{"os": "linux"}, "linux")
	l.expect("plan: in_progress, in_progress", "plan: completed, success",
		"Call 1 / build first of acme/app: queued, queued", "Call 2 / build 2 of acme/app: queued, queued")

	r := w.jitRunnerOf("acme/app", "r", "self-hosted", "linux").connect()
	o := r.offered()
	a := r.acquire(o)
	if got := a.body["environmentVariables"].([]any)[0]; !strings.Contains(text(got), `"called"`) {
		t.Errorf("env is %s: want the called workflow's", text(got))
	}
	if got := text(a.body["variables"].(map[string]any)["TOKEN"]); got != `{"isSecret":true,"value":"s3-x"}` {
		t.Errorf("the secret is %s", got)
	}
	if got := text(a.body["fileTable"]); got != `[".github/workflows/called.yml"]` {
		t.Errorf("files are %s", got)
	}
	r.complete(o, "succeeded", map[string]string{"image": "i1"})
	l.expect("Call 1 / build first of acme/app: in_progress, in_progress", "Call 1 / build first of acme/app: completed, success",
		"Call 1 / scan / scan: queued, queued", "Call 1 / never: completed, skipped")
	w.runNextOf("acme/app", "succeeded", map[string]string{"image": "i2"}, "self-hosted", "linux")
	w.runNextOf("acme/app", "succeeded", nil, "scanner")
	w.runNextOf("acme/app", "succeeded", nil, "scanner")
	if got := w.job("after i2").Status; got != githubsim.StatusQueued {
		t.Errorf("the job after the call is %s", got)
	}
	w.runNextOf("acme/app", "succeeded", nil, "linux")
	runs := w.Runs()
	if got := runs[len(runs)-1]; got.Conclusion != githubsim.Success || got.Workflow != "CI" {
		t.Errorf("run is %+v", got)
	}
}

// TestReusableFaults: what GitHub refuses of a call fails the run before it starts.
func TestReusableFaults(t *testing.T) {
	w := newWorld(t)
	w.withLibrary()
	const inputs = "on: {workflow_call: {inputs: {n: {type: number, required: true}}}}\njobs: {x: {runs-on: linux, steps: [{run: a}]}}"
	for uses, want := range map[string]string{
		"./.github/workflows/none.yml":                  "workflow was not found",
		"acme/none/.github/workflows/x.yml@v1":          "workflow was not found",
		"acme/lib/.github/workflows/scan.yml@v2":        "should be either a valid branch, tag, or commit",
		"./.github/workflows/ci.yml":                    "workflow_call key is not defined",
		"./.github/workflows/inputs.yml":                "input n is required",
		"./.github/workflows/circle.yml":                "nested reusable workflow depth exceeded 10",
		"./.github/workflows/broken.yml":                "broken.yml:2:",
		"./.github/workflows/inputs.yml, with: {m: 1 }": "m is not defined in the referenced workflow",
	} {
		files := map[string]string{
			".github/workflows/ci.yml":     "on: push\njobs:\n  c: {uses: " + uses + "}\n",
			".github/workflows/inputs.yml": inputs, ".github/workflows/circle.yml": "on: workflow_call\njobs: {c: {uses: ./.github/workflows/circle.yml}}",
		}
		if strings.Contains(uses, "broken") {
			files[".github/workflows/broken.yml"] = "on: workflow_call\njobs: {c: {}}"
		}
		runs := w.pushFiles(files)
		last := runs[len(runs)-1]
		if last.Conclusion != githubsim.StartupFailure || len(last.Faults) == 0 || !strings.Contains(last.Faults[0].Error(), want) {
			t.Errorf("%s: %s %v, want %q", uses, last.Conclusion, last.Faults, want)
			continue
		}
		if got := last.Faults[0]; !strings.Contains(uses, "circle") && (got.File != ".github/workflows/ci.yml" || got.Line != 3) {
			t.Errorf("%s: the fault is at %s:%d", uses, got.File, got.Line)
		}
		if len(last.Annotations) == 0 || !strings.Contains(last.Annotations[0].Message, want) {
			t.Errorf("%s: the run's page says %v", uses, last.Annotations)
		}
	}
	if got := len(w.Jobs()); got != 0 {
		t.Errorf("%d jobs of runs that never started", got)
	}
}

// TestReusableFailure: a failed call stops what needs it, and fails the run; to run
// it again is to run the failed job of the called workflow again.
func TestReusableFailure(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.pushFiles(map[string]string{
		".github/workflows/ci.yml": `
on: push
jobs:
  call: {uses: ./.github/workflows/c.yml, with: {}, secrets: inherit}
  after: {needs: call, runs-on: linux, steps: [{run: "true"}]}
`,
		".github/workflows/c.yml": `
on: workflow_call
jobs:
  good: {runs-on: good, steps: [{run: "true"}]}
  bad: {runs-on: bad, steps: [{run: "true"}]}
`})
	w.runNext("succeeded", nil, "good")
	w.runNext("failed", nil, "bad")
	w.expect("call / good success", "call / bad failure", "after skipped")
	w.expectRuns("1 failure")
	l.told()
	if err := w.Rerun(w.Runs()[0].ID, false); err != nil {
		t.Fatal(err)
	}
	l.expect("call / good: completed, success", "call / bad: queued, queued")
	w.runNext("succeeded", nil, "bad")
	l.expect("call / bad: in_progress, in_progress", "call / bad: completed, success", "after: queued, queued")
	w.runNext("succeeded", nil, "linux")
	w.expectRuns("1 success")
}

// TestReusableConcurrency: a called workflow has a group of its own.
func TestReusableConcurrency(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{
		".github/workflows/ci.yml": "on: push\njobs: {call: {uses: ./.github/workflows/c.yml}, own: {runs-on: linux, steps: [{run: a}]}}",
		".github/workflows/c.yml":  "on: workflow_call\nconcurrency: g\njobs: {d: {runs-on: linux, steps: [{run: a}]}}",
	}
	for range 3 {
		w.pushFiles(files)
	}
	w.expect("own queued", "own queued", "own queued", "call / d queued", "call / d cancelled")
	if err := w.CancelRun(w.Runs()[0].ID); err != nil {
		t.Fatal(err)
	}
	w.expect("own cancelled", "own queued", "own queued", "call / d cancelled", "call / d cancelled", "call / d queued")
	if d := cmp.Diff([]string{"1 cancelled", "2 queued", "3 queued"}, w.runStates()); d != "" {
		t.Error(d)
	}
}
