package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestDemo runs the main job as a person does, on both launchers and both engines.
func TestDemo(t *testing.T) {
	t.Parallel()
	t.Run("sandbox", func(t *testing.T) {
		tooltest.Need(t, "bwrap")
		testDemo(t, nil, machine.Sandbox)
	})
	dockertest.Each(t, func(t *testing.T, socket string) { testDemo(t, atEngine(socket), machine.Engine) })
}

// atEngine is the environment of a tool that finds the engine on socket.
func atEngine(socket string) []string { return []string{"DOCKER_HOST=unix://" + socket} }

func testDemo(t *testing.T, env []string, launcher string) {
	got := tooltest.JSONIn[demoSummary](t, env, "demo", "--json", "--launcher", launcher)
	if got.QueuedToStarted.P50 <= 0 || got.QueuedToStarted.P99 < got.QueuedToStarted.P50 {
		t.Errorf("queued to started: %+v", got.QueuedToStarted)
	}
	if got.RunnersStarted < got.Jobs {
		t.Errorf("%d runners for %d jobs", got.RunnersStarted, got.Jobs)
	}
	got.QueuedToStarted, got.RunnersStarted = rehearsal.Quantiles{}, 0
	if diff := cmp.Diff(demoSummary{Jobs: 6, AsExpected: 6}, got); diff != "" {
		t.Error(diff)
	}
}

// TestDemosSideBySide ends one demo while another goes on on the same engine.
func TestDemosSideBySide(t *testing.T) {
	t.Parallel()
	env := atEngine(dockertest.Serve(t))
	stays := keepDemo(t, env, machine.Engine)
	testDemo(t, env, machine.Engine)
	stays.pushAgain(t)
}

// TestDemoSaysLastLines: the table has what a job's steps printed last, not what a runner ends every log with.
func TestDemoSaysLastLines(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	out, errs, code := tooltest.Mayfly(t, "demo", "--launcher", machine.Sandbox)
	if code != 0 || !strings.Contains(out, "41 tests passed") || !strings.Contains(out, "Process completed with exit code 3.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// A keptDemo is a demo that stays up, as a process.
type keptDemo struct {
	deliveries string // address for deliveries
	repository string // where git can push to
	state      string
}

var (
	deliveries = regexp.MustCompile(`deliveries to (\S+),`)
	clone      = regexp.MustCompile(`git clone (\S+)`)
)

// keepDemo starts one and stops it when the test is over. It returns when the
// sample's jobs are done.
func keepDemo(t *testing.T, env []string, launcher string) (d keptDemo) {
	t.Helper()
	if launcher == machine.Sandbox {
		tooltest.Need(t, "bwrap")
	}
	dir, err := os.MkdirTemp("", "mayfly-kept-") // not t.TempDir: its name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d.state = filepath.Join(dir, "mayfly")
	cmd := exec.Command(tooltest.Binary("mayfly"), "demo", "--keep", "--launcher", launcher, "--listen", "127.0.0.1:0", "--state", dir)
	cmd.Env = append(append(os.Environ(), "MAYFLY_WEBHOOK_SECRET="+giteaSecret), env...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("mayfly demo --keep: %v", err)
		}
	})
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		if m := deliveries.FindStringSubmatch(lines.Text()); m != nil {
			d.deliveries = m[1]
		}
		if m := clone.FindStringSubmatch(lines.Text()); m != nil {
			d.repository = m[1]
		}
		if strings.Contains(lines.Text(), "Ctrl-C") {
			go func() { // a full pipe would stop the demo
				for lines.Scan() {
				}
			}()
			return d
		}
	}
	t.Fatalf("mayfly demo --keep ended early: %v", lines.Err())
	return d
}

// A listedJob is what mayfly jobs --json tells, as far as these tests look.
type listedJob struct {
	Job        string `json:"job"`
	State      string `json:"state"`
	Conclusion string `json:"conclusion"`
	Pool       string `json:"pool"`
	Runner     string `json:"runner"`
}

func (d keptDemo) jobs(t *testing.T) map[string]listedJob {
	t.Helper()
	jobs := map[string]listedJob{}
	for _, j := range tooltest.JSON[[]listedJob](t, "jobs", "--state", d.state, "--json", "--limit", "1000") {
		jobs[j.Job] = j
	}
	return jobs
}

// giteaSecret signed the captures in testdata/webhooks/gitea.
const giteaSecret = "It's a Secret to Everybody"

// A capture is a real request: its head and its body.
type capture struct {
	name   string
	header http.Header
	body   []byte
}

func captures(t *testing.T) (list []capture) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/webhooks/gitea/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, f := range files { // Glob sorts: this is the order of their arrival
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		r.Header.Del("Accept-Encoding")
		list = append(list, capture{filepath.Base(f), r.Header, body.Bytes()})
	}
	return list
}

// post sends a delivery and returns the status of the answer.
func (d keptDemo) post(t *testing.T, header http.Header, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.deliveries, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestKeptDemo does with a demo that stays up what a person can.
func TestKeptDemo(t *testing.T) {
	t.Parallel()
	d := keepDemo(t, nil, machine.Sandbox)
	t.Run("push", d.pushAgain) // first: it counts jobs, and those of others do not end
	t.Run("captures", d.takesCaptures)
	t.Run("GitHub's examples", d.takesExamples)
}

// takesCaptures posts what a real forge sent, in order: the jobs come out as they
// were; one byte changed is refused; sent twice changes nothing.
func (d keptDemo) takesCaptures(t *testing.T) {
	want := map[string]listedJob{}
	for _, c := range captures(t) {
		changed := bytes.Clone(c.body)
		changed[len(changed)/2] ^= 1
		if got := d.post(t, c.header, changed); got != http.StatusUnauthorized {
			t.Errorf("%s with a byte changed: %d, want 401", c.name, got)
		}
		if got := d.post(t, c.header, c.body); got != http.StatusAccepted {
			t.Errorf("%s: %d, want 202", c.name, got)
		}
		if strings.Contains(c.name, "workflow_job") {
			expect(t, want, c.body)
		}
	}
	before := d.waitForJobs(t, want)
	for _, c := range captures(t) {
		if got := d.post(t, c.header, c.body); got != http.StatusOK {
			t.Errorf("%s again: %d, want 200", c.name, got)
		}
	}
	if diff := cmp.Diff(before, d.jobs(t)); diff != "" {
		t.Errorf("jobs changed when all was sent again:\n%s", diff)
	}
}

// states of a job in their order, by the action that brings it there.
var states = []struct{ action, state string }{
	{"waiting", "waiting"}, {"queued", "queued"}, {"in_progress", "running"}, {"completed", "completed"},
}

// expect adds what body says of its job to want, worked out apart from the ledger:
// what comes later in the order of states wins, and what no pool of the demo takes is
// unroutable.
func expect(t *testing.T, want map[string]listedJob, body []byte) {
	t.Helper()
	w, err := event.ParseWorkflowJob(body)
	if err != nil {
		t.Fatal(err)
	}
	said := slices.IndexFunc(states, func(s struct{ action, state string }) bool { return s.action == w.Action })
	key := fmt.Sprintf("%s/%d/%d", strings.ToLower(w.Repository), w.ID, w.Attempt)
	known := slices.IndexFunc(states, func(s struct{ action, state string }) bool { return s.state == want[key].State })
	if said <= known {
		return
	}
	j := listedJob{Job: key, State: states[said].state, Conclusion: w.Conclusion}
	if _, fits := (&demoCmd{}).pools().Route(w); !fits && said < 2 {
		j.State = "unroutable"
	}
	want[key] = j
}

// waitForJobs waits until the ledger has every job of want as it should be, and
// returns all jobs.
func (d keptDemo) waitForJobs(t *testing.T, want map[string]listedJob) map[string]listedJob {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		jobs, got := d.jobs(t), map[string]listedJob{}
		for key := range want {
			j := jobs[key]
			got[key] = listedJob{Job: j.Job, State: j.State, Conclusion: j.Conclusion}
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			return jobs
		}
		if ctx.Err() != nil {
			t.Fatalf("jobs as they were sent (-want +got):\n%s", diff)
		}
	}
}

// takesExamples posts the payloads that GitHub's own examples show, signed.
func (d keptDemo) takesExamples(t *testing.T) {
	files, err := filepath.Glob("../../testdata/webhooks/github/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(f), "-")
		header := http.Header{
			"Content-Type": {"application/json"}, "X-Github-Event": {name}, "X-Github-Delivery": {strings.TrimSuffix(filepath.Base(f), ".json")},
			"X-Hub-Signature-256": {hook.Sign(giteaSecret, body)},
		}
		want := http.StatusOK // known and signed, but not forwarded
		switch name {
		case "workflow_job", "workflow_run", "ping":
			want = http.StatusAccepted
		}
		if got := d.post(t, header, body); got != want {
			t.Errorf("%s: %d, want %d", filepath.Base(f), got, want)
		}
	}
}

// pushAgain pushes to the demo's simulator with git, and waits until the sample's jobs
// have run once more.
func (d keptDemo) pushAgain(t *testing.T) {
	t.Helper()
	before := len(d.jobs(t))
	dir := filepath.Join(t.TempDir(), "web")
	for _, args := range [][]string{
		{"clone", "-q", d.repository, dir},
		{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "again"},
		{"-C", dir, "push", "-q"},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for done := 0; done < before+6; <-tick.C {
		if done = 0; ctx.Err() != nil {
			t.Fatalf("%d jobs done, want %d", done, before+6)
		}
		for _, j := range d.jobs(t) {
			if j.State == "completed" {
				done++
			}
		}
	}
}
