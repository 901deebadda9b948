package minirunner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/worker"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const pat = "ghp_test"

// keys are those of all runners here: making one takes long.
var keys = jit.NewRing()

// A world is a simulated GitHub with the repository acme/web, over a real socket.
type world struct {
	*githubsim.Sim
	t   *testing.T
	url string
	dir string // for the work of runners
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sim, err := githubsim.New(githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Tokens: []secret.Secret{secret.New(pat)}, Dir: t.TempDir(), Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		t.Fatal(err)
	}
	return &world{sim, t, server.URL, t.TempDir()}
}

// push starts a workflow; its jobs run on [x].
func (w *world) push(workflow string) {
	w.t.Helper()
	_, err := w.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{
		".github/workflows/ci.yml": workflow, "README": "readme of acme/web\n",
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// post calls the API as an administrator.
func (w *world) post(path string, in, out any) {
	w.t.Helper()
	body, _ := json.Marshal(in)
	req, _ := http.NewRequest(http.MethodPost, w.url+"/api/v3/repos/acme/web/actions/runners/"+path, bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+pat)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode != http.StatusCreated {
		w.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
}

// jit registers a runner for jobs on [x].
func (w *world) jit(name string) minirunner.Identity {
	w.t.Helper()
	var made struct {
		JIT string `json:"encoded_jit_config"`
	}
	w.post("generate-jitconfig", map[string]any{"name": name, "runner_group_id": 1, "labels": []string{"x"}}, &made)
	id, err := minirunner.DecodeJIT(made.JIT)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// A screen is what a runner prints.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A running is a runner at work.
type running struct {
	t    *testing.T
	root string
	out  screen
	code chan int
}

// quick are pauses for tests: next to none, except between the signals to a step,
// which a loaded machine needs time for.
func quick() minirunner.Pauses {
	short := wire.Span{Least: time.Millisecond, Most: 2 * time.Millisecond}
	return minirunner.Pauses{
		Pauses: worker.Pauses{
			Interrupt: 200 * time.Millisecond, Terminate: 200 * time.Millisecond, Output: 300 * time.Millisecond, Again: short, Download: short,
		},
		Session: 10 * time.Millisecond, Poll: short, PollLater: short, Renew: 20 * time.Millisecond,
		FirstRenew: short, RenewAgain: short, Throttle: time.Millisecond,
	}
}

// start starts a runner; it is stopped when ctx ends.
func (w *world) start(ctx context.Context, id minirunner.Identity) *running {
	root := filepath.Join(w.dir, id.Name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return start(ctx, w.t, minirunner.Config{
		Identity: id, Root: root, Env: map[string]string{"PATH": os.Getenv("PATH"), "HOME": w.dir}, Pauses: quick(),
	})
}

// start starts a runner of c, of which what tests have in common is filled in.
func start(ctx context.Context, t *testing.T, c minirunner.Config) *running {
	r := &running{t: t, code: make(chan int, 1), root: c.Root}
	c.Out, c.HTTP, c.Now = &r.out, http.DefaultClient, time.Now
	go func() { r.code <- minirunner.Run(ctx, c) }()
	return r
}

// wait returns the runner's exit code and what it printed.
func (r *running) wait() (int, string) {
	r.t.Helper()
	select {
	case c := <-r.code:
		return c, r.out.String()
	case <-time.After(20 * time.Second):
		r.t.Fatalf("the runner has not ended in 20 s:\n%s", r.out.String())
		return 0, ""
	}
}

// listening returns when the runner waits for a job.
func (r *running) listening() {
	r.t.Helper()
	until(r.t, func() bool { return strings.Contains(r.out.String(), "Listening for Jobs") })
}

// until returns when done says true.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("not so after 10 s")
}

// run has one runner do the one job of workflow and returns the job and its log.
func (w *world) run(workflow string) (githubsim.Job, string) {
	w.t.Helper()
	w.push(workflow)
	if code, out := w.start(w.t.Context(), w.jit("r1")).wait(); code != minirunner.ExitDone {
		w.t.Fatalf("exit code %d:\n%s", code, out)
	}
	job := w.Jobs()[0]
	return job, w.Log(job.ID)
}

// steps is how each step of a job ended, those of the runner's own left out.
func steps(j githubsim.Job) map[string]string {
	all := map[string]string{}
	for _, s := range j.Steps {
		if s.Name != "Set up job" && s.Name != "Complete job" {
			all[s.Name] = s.Conclusion
		}
	}
	return all
}

// has checks that text holds each of parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func TestOneJob(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
env: {LEVEL: workflow, WORKFLOW: "1"}
jobs:
  build:
    runs-on: x
    env: {LEVEL: job, JOB: "${{ github.repository }}"}
    outputs: {answer: "${{ steps.think.outputs.answer }}"}
    steps:
      - run: echo "$LEVEL $WORKFLOW $JOB $STEP $GITHUB_SHA $CI in $PWD"
        env: {LEVEL: step, STEP: "${{ env.JOB }}!"}
      - id: think
        run: |
          echo answer=42 >> $GITHUB_OUTPUT
          printf 'MANY<<END\none\ntwo\nEND\n' >> $GITHUB_ENV
          mkdir -p bin sub && printf '#!/bin/sh\necho from the path' > bin/ls && chmod +x bin/ls # before the one of the system
          echo $PWD/bin >> $GITHUB_PATH
          echo '# Summary' >> $GITHUB_STEP_SUMMARY
      - run: echo "$MANY" && ls && echo "think said ${{ steps.think.outputs.answer }}" && pwd
        working-directory: sub
      - run: BEGIN { print "of a custom shell" }
        shell: awk -f {0}
      - run: echo $0
        shell: sh
`)
	code, out := w.start(t.Context(), w.jit("r1")).wait()
	if code != minirunner.ExitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	job := w.Jobs()[0]
	if job.Conclusion != githubsim.Success || job.Runner != "r1" || w.Outputs(job.ID)["answer"] != "42" {
		t.Errorf("job %+v, outputs %v", job, w.Outputs(job.ID))
	}
	workspace := filepath.Join(w.dir, "r1", "_work", "web", "web")
	has(t, w.Log(job.ID), "step 1 acme/web acme/web! "+w.Runs()[0].SHA+" true in "+workspace,
		"Z one\n", "Z two\n", "Z from the path\n", "think said 42", "Z of a custom shell\n", workspace+"/sub\n", "/_temp/")
	lines := regexp.MustCompile(`(?s)√ Connected to GitHub.*Current runner version: '2\.\d+\.\d+'
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Listening for Jobs
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Running job: build
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Job build completed with result: Succeeded
$`)
	if !lines.MatchString(out) {
		t.Errorf("printed:\n%s", out)
	}
	if left := w.Runners(); len(left) != 0 {
		t.Errorf("still registered: %v", left)
	}
	if left, err := os.ReadDir(filepath.Join(w.dir, "r1", "_work", "_temp")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestFailure(t *testing.T) {
	w := newWorld(t)
	job, log := w.run(`
on: push
jobs:
  build:
    runs-on: x
    steps:
      - {name: tolerated, run: exit 4, continue-on-error: true, id: first}
      - {name: pipe, run: "true | cat", shell: bash}
      - {name: fails, run: "echo before; false; echo after"}
      - {name: not reached, run: echo unreached}
      - {name: on failure, if: failure(), run: "echo outcome ${{ steps.first.outcome }} ${{ steps.first.conclusion }}, job ${{ job.status }}"}
      - {name: other, if: "failure() && github.ref == 'refs/heads/other'", run: echo unreached}
      - {name: always, if: always(), run: "false | true", shell: bash}
      - {name: too late, if: always(), run: sleep 60, timeout-minutes: 0.005}
`)
	if job.Conclusion != githubsim.Failure {
		t.Errorf("conclusion %q", job.Conclusion)
	}
	want := map[string]string{
		"tolerated": "success", "pipe": "success", "fails": "failure", "not reached": "skipped", "on failure": "success",
		"other": "skipped", "always": "failure", "too late": "failure",
	}
	if diff := cmp.Diff(want, steps(job)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	has(t, log, "before", "##[error]Process completed with exit code 1.", "outcome failure success, job failure", "has timed out after 0.005 minutes")
	if strings.Contains(log, "unreached") || regexp.MustCompile(`Z after\n`).MatchString(log) {
		t.Errorf("a step ran on:\n%s", log)
	}
}

func TestMasking(t *testing.T) {
	w := newWorld(t)
	job, log := w.run(`
on: push
jobs:
  build:
    runs-on: x
    outputs: {leak: "${{ steps.it.outputs.leak }}", fine: "${{ steps.it.outputs.fine }}"}
    steps:
      - id: it
        run: |
          password=$(printf 'hunt%s' er2) # the log shows the script, too
          echo "::add-mask::$password"
          echo "the password is $password, the token ${{ secrets.GITHUB_TOKEN }}"
          echo "::error file=a.go,line=3::$password is wrong"
          echo leak=$password >> $GITHUB_OUTPUT
          echo fine=yes >> $GITHUB_OUTPUT
      - run: env | grep -c ghs_ || echo "no token in the environment"
      - run: |
          echo "::stop-commands::pause"
          echo "::error::not a command"
          echo "::pause::"
          echo "::group::Things"
          echo "::endgroup::"
`)
	has(t, log, "the password is ***, the token ***", "##[error]*** is wrong", "Z no token in the environment", "Z ::error::not a command", "##[group]Things")
	if secrets := regexp.MustCompile(`hunter2|ghs_\w+`).FindString(log); secrets != "" {
		t.Errorf("the log shows %q", secrets)
	}
	if diff := cmp.Diff(map[string]any{"fine": "yes"}, w.Outputs(job.ID)); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

// TestCheckout has the simulator's actions/checkout take the run's commit from the
// simulator's git, and another repository beside it.
func TestCheckout(t *testing.T) {
	w := newWorld(t)
	if err := w.AddCheckout(); err != nil {
		t.Fatal(err)
	}
	job, log := w.run(`
on: push
jobs:
  build:
    runs-on: x
    outputs: {commit: "${{ steps.mine.outputs.commit }}"}
    steps:
      - {uses: actions/checkout@v4, id: mine}
      - run: cat README; git status --short --branch; git log --format=%s
      - uses: actions/checkout@v4
        with: {repository: actions/checkout, ref: v4, path: other, fetch-depth: 0, persist-credentials: false, extra: x}
      - run: ls other; git -C other config --get-regexp extraheader || echo "no header"
`)
	if job.Conclusion != githubsim.Success || w.Outputs(job.ID)["commit"] != w.Runs()[0].SHA {
		t.Errorf("conclusion %q, outputs %v", job.Conclusion, w.Outputs(job.ID))
	}
	has(t, log, "Z readme of acme/web\n", "## main\n", "Z action.yml\n", "Z no header\n", "Download action repository 'actions/checkout@v4' (SHA:",
		"##[warning]Unexpected input(s) 'extra', valid inputs are ['repository', 'ref', 'token', 'path', 'fetch-depth', 'persist-credentials']")
	lacks(t, log, "x-access-token:ghs")
}

// TestNoSuchAction: the job ends where actions are prepared.
func TestNoSuchAction(t *testing.T) {
	w := newWorld(t)
	job, log := w.run(`
on: push
jobs: {build: {runs-on: x, steps: [{run: echo unreached}, {uses: acme/none@v1}]}}
`)
	if job.Conclusion != githubsim.Failure || len(job.Steps) != 1 || job.Steps[0].Name != "Set up job" {
		t.Errorf("job %+v", job)
	}
	has(t, log, "##[error]Unable to resolve action `acme/none@v1`, repository not found")
	lacks(t, log, "unreached")
}

// TestCancel cancels a job in a step that does not listen: what wants to run
// after it runs.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	flag := filepath.Join(w.dir, "began")
	w.push(fmt.Sprintf(`
on: push
jobs:
  build:
    runs-on: x
    steps:
      - {name: deaf, run: "trap '' INT TERM; touch %s; while :; do sleep 60; done"}
      - {name: next, run: echo unreached}
      - {name: clean up, if: cancelled(), run: "echo cleaned up, job ${{ job.status }}"}
`, flag))
	r := w.start(t.Context(), w.jit("r1"))
	waitFor(t, flag)
	if err := w.CancelJob(w.Jobs()[0].ID); err != nil {
		t.Fatal(err)
	}
	if code, out := r.wait(); code != minirunner.ExitDone || !strings.Contains(out, "Job build completed with result: Canceled") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	job := w.Jobs()[0]
	if job.Conclusion != githubsim.Cancelled {
		t.Errorf("conclusion %q", job.Conclusion)
	}
	if diff := cmp.Diff(map[string]string{"deaf": "cancelled", "next": "skipped", "clean up": "success"}, steps(job)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	has(t, w.Log(job.ID), "##[error]The operation was canceled.", "cleaned up, job cancelled")
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	until(t, func() bool { _, err := os.Stat(path); return err == nil })
}

// TestOrphans has a job renewed while it runs, and a step leave processes behind:
// one that can be found, and one that says it is none of the job's.
func TestOrphans(t *testing.T) {
	w := newWorld(t)
	pids, end := filepath.Join(w.dir, "pids"), filepath.Join(w.dir, "end")
	w.push(fmt.Sprintf(`
on: push
jobs:
  build:
    runs-on: x
    steps:
      - run: |
          sleep 300 >/dev/null 2>&1 & echo $! > %[1]s.found
          RUNNER_TRACKING_ID= sleep 300 >/dev/null 2>&1 & echo $! > %[1]s.own
          echo so far; until [ -e %[2]s ]; do sleep 0.01; done
`, pids, end))
	renewals := fault.Rule{Path: "/_runner/run/renewjob", Delay: fault.Duration(time.Millisecond)} // is there to count
	if _, err := w.Faults().Add(renewals); err != nil {
		t.Fatal(err)
	}
	r := w.start(t.Context(), w.jit("r1"))
	waitFor(t, pids+".own")
	until(t, func() bool { return w.Faults().Rules()[0].Hits > 1 })
	os.WriteFile(end, nil, 0o600)
	if code, out := r.wait(); code != minirunner.ExitDone {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	has(t, w.Log(w.Jobs()[0].ID), "Terminate orphan process: pid (", ") (sleep)")
	until(t, func() bool { return !alive(pids + ".found") }) // a busy machine sees it a little later
	if !alive(pids + ".own") {
		t.Error("a process was ended that is none of the job's")
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(read(pids + ".own")))
	syscall.Kill(pid, syscall.SIGKILL)
}

func read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// alive reports whether the process runs whose id is in a file.
func alive(file string) bool {
	state := read("/proc/" + strings.TrimSpace(read(file)) + "/stat")
	return state != "" && !strings.Contains(state, ") Z ")
}

// TestServerFaults has every call of the runner fail once before it is answered.
func TestServerFaults(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {build: {runs-on: x, steps: [{run: echo hello}]}}\n")
	id := w.jit("r1")
	for _, path := range []string{"/_runner/broker/session", "/_runner/broker/message", "/_runner/broker/acknowledge", "/_runner/run/acquirejob", "/_runner/run/completejob"} {
		if _, err := w.Faults().Add(fault.Rule{Path: path, Status: http.StatusBadGateway, Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := w.start(t.Context(), id).wait(); code != minirunner.ExitDone {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for _, r := range w.Faults().Rules() {
		if r.Hits != 1 {
			t.Errorf("%s failed %d times, want once", r.Path, r.Hits)
		}
	}
	if job := w.Jobs()[0]; job.Conclusion != githubsim.Success || job.Started != 1 {
		t.Errorf("job %+v", job)
	}
}

// TestRegister registers with a token, as a person does, and runs two jobs.
func TestRegister(t *testing.T) {
	w := newWorld(t)
	var made struct {
		Token string `json:"token"`
	}
	w.post("registration-token", nil, &made)
	registration := minirunner.Registration{URL: w.url + "/acme/web", Token: made.Token, Name: "by-hand", Labels: []string{"x"}}
	id, err := minirunner.Register(t.Context(), http.DefaultClient, registration)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := minirunner.Register(t.Context(), http.DefaultClient, registration); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("registered twice: %v", err)
	}
	labels := w.Runners()[0].Labels
	if !slices.Contains(labels, "x") || !slices.Contains(labels, "self-hosted") || w.Runners()[0].Ephemeral {
		t.Errorf("runner %+v", w.Runners()[0])
	}
	w.push("on: push\njobs: {a: {runs-on: x, steps: [{run: echo a}]}, b: {runs-on: [x, linux], needs: a, steps: [{run: echo b}]}}\n")
	ctx, stop := context.WithCancel(t.Context())
	r := w.start(ctx, id)
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = w.Wait(deadline, func(jobs []githubsim.Job) bool {
		return len(jobs) == 2 && jobs[0].Conclusion == githubsim.Success && jobs[1].Conclusion == githubsim.Success
	})
	stop()
	if code, out := r.wait(); err != nil || code != minirunner.ExitDone {
		t.Errorf("%v, exit code %d:\n%s", err, code, out)
	}
}

// TestLoad starts a runner that was configured before, from its folder.
func TestLoad(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	r := w.start(ctx, w.jit("r1"))
	r.listening()
	stop()
	r.wait()
	id, err := minirunner.Load(r.root)
	if err != nil {
		t.Fatal(err)
	}
	w.push("on: push\njobs: {build: {runs-on: x, steps: [{run: 'true'}]}}\n")
	if code, out := w.start(t.Context(), id).wait(); code != minirunner.ExitDone || w.Jobs()[0].Conclusion != githubsim.Success {
		t.Errorf("exit code %d, job %+v:\n%s", code, w.Jobs()[0], out)
	}
	if _, err := minirunner.Load(r.root); err == nil {
		t.Error("the configuration of a runner whose job is done is still there")
	}
}

func TestRegisterRefused(t *testing.T) {
	w := newWorld(t)
	_, err := minirunner.Register(t.Context(), http.DefaultClient, minirunner.Registration{URL: w.url + "/acme/web", Token: "wrong", Name: "r"})
	if err == nil || !strings.Contains(err.Error(), "using the registration token") {
		t.Errorf("error %v", err)
	}
}

// TestSpent uses a configuration again whose job is done.
func TestSpent(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {build: {runs-on: x, steps: [{run: 'true'}]}}\n")
	id := w.jit("r1")
	w.start(t.Context(), id).wait()
	if code, out := w.start(t.Context(), id).wait(); code != minirunner.ExitTerminated || !strings.Contains(out, "The runner registration has been deleted from the server") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestSessionConflict has a second runner use the same registration.
func TestSessionConflict(t *testing.T) {
	w := newWorld(t)
	id := w.jit("r1")
	ctx, stop := context.WithCancel(t.Context())
	first := w.start(ctx, id)
	first.listening()
	if code, out := w.start(t.Context(), id).wait(); code != minirunner.ExitConflict {
		t.Errorf("exit code %d, want %d:\n%s", code, minirunner.ExitConflict, out)
	}
	stop()
	first.wait()
}

// TestNeeds hands a job's output to the next.
func TestNeeds(t *testing.T) {
	w := newWorld(t)
	w.push(`
on: push
jobs:
  a:
    runs-on: x
    outputs: {v: "${{ steps.s.outputs.v }}"}
    steps: [{id: s, run: echo v=7 >> $GITHUB_OUTPUT}]
  b:
    runs-on: x
    needs: a
    strategy: {matrix: {os: [one, two]}}
    defaults: {run: {shell: "sh -e {0}", working-directory: /}}
    steps: [{run: "echo got ${{ needs.a.outputs.v }} on ${{ matrix.os }} in $PWD"}]
`)
	for _, name := range []string{"r1", "r2", "r3"} {
		if code, out := w.start(t.Context(), w.jit(name)).wait(); code != minirunner.ExitDone {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
	}
	jobs := w.Jobs()
	for _, i := range []int{1, 2} {
		want := "got 7 on " + []string{"", "one", "two"}[i] + " in /\n"
		has(t, w.Log(jobs[i].ID), want, "/sh -e {0}")
	}
}

// TestVersionDeprecated: GitHub has no messages for a version whose end has come.
func TestVersionDeprecated(t *testing.T) {
	w := newWorld(t)
	w.DeprecateRunner(minirunner.Version, time.Time{}, time.Now().Add(-time.Hour))
	id := w.jit("r1")
	code, out := start(t.Context(), t, minirunner.Config{
		Identity: id, Root: t.TempDir(), Env: map[string]string{"ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE": "1"}, Pauses: quick(),
	}).wait()
	if code != minirunner.ExitDeprecated {
		t.Errorf("exit code %d, want %d", code, minirunner.ExitDeprecated)
	}
	has(t, out, "Listening for Jobs", "Runner version v"+minirunner.Version+" is deprecated and cannot receive messages.")
}
