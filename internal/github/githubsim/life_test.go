package githubsim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHostedJobs: what GitHub runs itself goes its way, and no runner gets it.
func TestHostedJobs(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(`
on: push
jobs:
  h: {strategy: {matrix: {os: [ubuntu-latest, windows-2022, macos-14, ubuntu-24.04-arm]}}, runs-on: "${{ matrix.os }}", steps: [{run: "true"}]}
  after: {needs: h, runs-on: [self-hosted, ubuntu-latest], steps: [{run: "true"}]}
`)
	w.jitRunner("ours", "ubuntu-latest").connect()
	legs := []string{"ubuntu-latest", "windows-2022", "macos-14", "ubuntu-24.04-arm"}
	all := func(state string) (out []string) {
		for _, os := range legs {
			out = append(out, fmt.Sprintf("h (%s): %s", os, state))
		}
		return out
	}
	l.expect(all("queued, queued")...)
	w.clock.advance(time.Second)
	w.Expire()
	for _, p := range l.news() {
		if p.Action != "in_progress" || p.Job.Group == nil || *p.Job.Group != "GitHub Actions" || !strings.HasPrefix(*p.Job.Runner, "GitHub Actions ") || *p.Job.RunnerID == 0 {
			t.Errorf("a job of GitHub's: %+v", p)
		}
	}
	w.clock.advance(10 * time.Second)
	w.Expire()
	l.expect(append(all("completed, success"), "after: queued, queued")...)
	w.annotation(w.job("h (macos-14)").ID, "githubsim runs none of its steps")
}

func TestHostedLabels(t *testing.T) {
	for runsOn, want := range map[string]string{
		"ubuntu-latest": "completed", "UBUNTU-22.04": "completed", "macos-15-xlarge": "completed", "windows-11-arm": "completed", "ubuntu-slim": "completed",
		"windows-latest": "completed", "macos-latest-large": "completed", "\"${{ fromJSON('[]') }}\"": "completed",
		"ubuntu": "queued", "ubuntu-latest-aws": "queued", "[self-hosted, ubuntu-latest]": "queued", "{group: g, labels: ubuntu-latest}": "queued", "macos-14-big": "queued",
	} {
		w := newWorld(t)
		w.push("on: push\njobs: {h: {runs-on: " + runsOn + ", steps: [{run: 'true'}]}}")
		w.clock.advance(time.Minute)
		w.Expire()
		w.clock.advance(time.Minute)
		w.Expire()
		if got := w.job("h").Status; got != want {
			t.Errorf("%s is %s, want %s", runsOn, got, want)
		}
	}
}

func TestHostedCancel(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push("on: push\njobs: {h: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}")[0]
	w.clock.advance(time.Second)
	w.Expire()
	l.news()
	if err := w.CancelRun(run.ID); err != nil {
		t.Fatal(err)
	}
	l.expect("h: completed, cancelled")
}

// TestDayInTheQueue: a job that no runner takes for 24 hours ends as cancelled.
func TestDayInTheQueue(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push("on: push\njobs: {a: {runs-on: linux, steps: [{run: 'true'}]}, b: {needs: a, runs-on: linux, steps: [{run: 'true'}]}}")
	l.news()
	w.clock.advance(24 * time.Hour)
	w.Expire()
	l.expect()
	w.clock.advance(time.Second)
	w.Expire()
	l.expect("a: completed, cancelled", "b: completed, skipped")
	w.annotation(w.job("a").ID, "24 hours")
	w.expectRuns("1 cancelled")
}

// TestNotAcquired: a job that its runner does not take in a minute goes to another.
func TestNotAcquired(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(one)
	r := w.jitRunner("slow", "linux", "x64").connect()
	o := r.offered()
	w.clock.advance(61 * time.Second)
	w.Expire()
	if a := r.acquire(o); a.code != http.StatusNotFound {
		t.Errorf("too late: %d %s", a.code, a.text)
	}
	w.runNext("succeeded", nil, "linux", "x64")
	if got := w.job("build"); got.Given != 2 || got.Runner == "slow" {
		t.Errorf("job is %+v", got)
	}
	l.expect("build: queued, queued", "build: in_progress, in_progress", "build: completed, success")
}

// TestTimeout: timeout-minutes is an expression here, is told to the runner, and is
// enforced.
func TestTimeout(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
jobs:
  t:
    runs-on: "${{ matrix.os }}"
    timeout-minutes: ${{ (matrix.os == 'short' && 2) || 360 }}
    strategy: {matrix: {os: [short, long]}}
    steps: [{run: "true", timeout-minutes: "${{ matrix.os == 'short' && 1 || 9 }}"}, {run: "true", timeout-minutes: "${{ fromJSON(env.MINUTES) }}"}]
  wrong: {runs-on: x, timeout-minutes: "${{ fromJSON('\"soon\"') }}", steps: [{run: "true"}]}
`)
	w.annotation(w.job("wrong").ID, `error when evaluating 'timeout-minutes' for job 'wrong': "soon"`)
	r := w.jitRunner("r", "short").connect()
	a := r.acquire(r.offered())
	if got := text(a.body["variables"].(map[string]any)["system.jobTimeout"]); got != `{"value":"2"}` {
		t.Errorf("the job's timeout is %s", got)
	}
	steps := a.body["steps"].([]any)
	if got := text(steps[0].(map[string]any)["timeoutInMinutes"]); got != `{"num":1,"type":6}` {
		t.Errorf("the step's timeout is %s", got)
	}
	if got := text(steps[1].(map[string]any)["timeoutInMinutes"]); got != `{"expr":"fromJSON(env.MINUTES)","type":3}` {
		t.Errorf("the other step's timeout is %s", got)
	}
	w.clock.advance(2*time.Minute + time.Second)
	w.Expire()
	if a := r.poll(); a.body["messageType"] != "JobCancellation" {
		t.Errorf("after the timeout: %d %s", a.code, a.text)
	}
	w.annotation(w.job("t (short)").ID, "has exceeded the maximum execution time of 2 minutes")
}

// TestContainers: container and services reach the runner as template tokens.
func TestContainers(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
jobs:
  c:
    runs-on: linux
    strategy: {matrix: {node: [20]}}
    container: {image: "node:${{ matrix.node }}", options: --cpus 1, env: {A: "${{ env.B }}"}, ports: [80], volumes: ["v:/v"], credentials: {username: u, password: "${{ secrets.P }}"}}
    services: {pg: {image: "postgres:16", ports: ["5432:5432"]}}
    steps: [{run: "true"}]
  none: {needs: c, runs-on: linux, container: "${{ matrix.none }}", steps: [{run: "true"}]}
  short: {needs: none, runs-on: linux, container: alpine, steps: [{run: "true"}]}
`)
	take := func() map[string]any {
		r := w.jitRunner("r-"+fmt.Sprint(len(w.Jobs()), w.clock.Now().UnixNano()), "linux").connect()
		o := r.offered()
		a := r.acquire(o)
		r.complete(o, "succeeded", nil)
		w.clock.advance(time.Second)
		return a.body
	}
	job := take()
	values := map[string]any{}
	for _, p := range job["jobContainer"].(map[string]any)["map"].([]any) {
		pair := p.(map[string]any)
		values[pair["key"].(map[string]any)["lit"].(string)] = pair["value"]
	}
	for key, want := range map[string]string{
		"image": `{"lit":"node:20","type":0}`, "options": `{"lit":"--cpus 1","type":0}`, "ports": `{"seq":[{"lit":"80","type":0}],"type":1}`, "volumes": `{"seq":[{"lit":"v:/v","type":0}],"type":1}`,
		"env":         `{"map":[{"key":{"lit":"A","type":0},"value":{"expr":"env.B","type":3}}],"type":2}`,
		"credentials": `{"map":[{"key":{"lit":"username","type":0},"value":{"lit":"u","type":0}},{"key":{"lit":"password","type":0},"value":{"expr":"secrets.P","type":3}}],"type":2}`,
	} {
		if got := text(values[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	want := `{"map":[{"key":{"lit":"pg","type":0},"value":{"map":[{"key":{"lit":"image","type":0},"value":{"lit":"postgres:16","type":0}},{"key":{"lit":"ports","type":0},"value":{"seq":[{"lit":"5432:5432","type":0}],"type":1}}],"type":2}}],"type":2}`
	if got := text(job["jobServiceContainers"]); got != want {
		t.Errorf("services are %s", got)
	}
	if job := take(); job["jobContainer"] != nil || job["jobServiceContainers"] != nil {
		t.Errorf("a container that is nothing: %v", job["jobContainer"])
	}
	if got := text(take()["jobContainer"]); got != `{"map":[{"key":{"lit":"image","type":0},"value":{"lit":"alpine","type":0}}],"type":2}` {
		t.Errorf("the short form is %s", got)
	}
}

// TestSkipped: a job that does not run has one delivery, with the name that the file
// gives it.
func TestSkipped(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(`
on: push
jobs:
  no: {if: false, runs-on: linux, steps: [{run: "true"}]}
  no2: {if: "${{ github.ref == 'x' }}", name: "n ${{ matrix.a }}", strategy: {matrix: {a: [1, 2]}}, runs-on: linux, steps: [{run: "true"}]}
  after: {needs: no, runs-on: linux, steps: [{run: "true"}]}
  always: {needs: no, if: always(), runs-on: linux, steps: [{run: "true"}]}
  call: {if: false, uses: ./.github/workflows/ci.yml}
`)
	l.expect() // it has no workflow_call
	w.push(`
on: push
jobs:
  no: {if: false, runs-on: linux, steps: [{run: "true"}]}
  no2: {if: "${{ github.ref == 'x' }}", name: "n ${{ matrix.a }}", strategy: {matrix: {a: [1, 2]}}, runs-on: linux, steps: [{run: "true"}]}
  after: {needs: no, runs-on: linux, steps: [{run: "true"}]}
  always: {needs: no, if: always(), runs-on: linux, steps: [{run: "true"}]}
`)
	news := l.news()
	for _, p := range news {
		if p.Job.Name != "always" && (p.Action != "completed" || *p.Job.Conclusion != "skipped" || p.Job.Runner != nil || len(p.Job.Labels) != 0) {
			t.Errorf("a skipped job: %+v", p)
		}
	}
	w.expect("no skipped", "n ${{ matrix.a }} skipped", "after skipped", "always queued")
	if len(news) != 4 {
		t.Errorf("%d deliveries", len(news))
	}
}

// TestCancelRun: what has not begun ends, what has is told, and always() and
// cancelled() still run.
func TestCancelRun(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push(`
on: push
jobs:
  a: {runs-on: a, steps: [{run: "true"}]}
  b: {runs-on: b, steps: [{run: "true"}]}
  c: {needs: [a, b], runs-on: c, steps: [{run: "true"}]}
  d: {needs: [a, b], if: cancelled(), runs-on: d, steps: [{run: "true"}]}
  e: {needs: [a, b], if: "!cancelled()", runs-on: e, steps: [{run: "true"}]}
`)[0]
	r := w.jitRunner("r", "a").connect()
	o := r.offered()
	r.acquire(o)
	l.news()
	cancel := fmt.Sprintf("/repos/acme/web/actions/runs/%d/", run.ID)
	w.api(http.StatusAccepted, "POST", cancel+"cancel", nil)
	l.expect("b: completed, cancelled")
	r.complete(o, "canceled", nil)
	l.expect("a: completed, cancelled", "c: completed, cancelled", "d: queued, queued", "e: completed, cancelled")
	w.api(http.StatusAccepted, "POST", cancel+"force-cancel", nil)
	l.expect("d: completed, cancelled")
	w.expectRuns("1 cancelled")
	w.api(http.StatusConflict, "POST", cancel+"force-cancel", nil)
}
