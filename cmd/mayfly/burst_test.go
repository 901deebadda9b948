package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// burstMemory is what mayfly up may take at most, in bytes, with a thousand jobs queued.
const burstMemory = 100e6

// TestBurst queues a thousand jobs at once, many times what may run at once. Mayfly's memory must stay
// bounded, and each job gets one runner. When mayfly knows them all, three quarters are cancelled, unless
// make chaos has all of them run.
func TestBurst(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	const files, each, most = 4, 250, 8 // a matrix has 256 legs at most
	push := map[string]string{}
	for i := range files {
		push[fmt.Sprintf(".github/workflows/%d.yml", i)] = workflow(each, "true")
	}
	w := newWorld(t, worldConfig{pool: fmt.Sprint("max: ", most)})
	w.serve(t)
	begun := time.Now()
	w.push(t, push)
	w.knows(t, files*each)
	if !thorough() {
		for _, r := range w.sim.Runs()[1:] {
			if err := w.sim.CancelRun(r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.completed(t, files*each, 10*time.Minute)
	took := time.Since(begun)
	w.nothingLeft(t, 30*time.Second)
	given := w.onceOrCancelled(t)
	made := w.runners(t, "--all")
	claims := 0
	for _, r := range made {
		if !r.Claimed.IsZero() {
			claims++
		}
	}
	if claims < given || claims > given+most || given < each {
		t.Errorf("%d runners have claimed for %d jobs that ran: want one each, and at most one each for %d that were cancelled meanwhile", claims, given, most)
	}
	peak := w.up.memory(t, "VmHWM")
	if peak > burstMemory {
		t.Errorf("%d bytes resident at most, want under %.0f", peak, burstMemory)
	}
	t.Logf("%d jobs in %v, %d of them ran, %d runners made, %.1f MB resident at most", files*each, took, given, len(made), float64(peak)/1e6)
	w.up.stop(t)
}

// knows waits until the ledger has heard of so many jobs.
func (w *world) knows(t *testing.T, jobs int) {
	t.Helper()
	for known := 0; known < jobs; {
		select {
		case <-w.up.ended:
			t.Fatalf("%d jobs known, want %d\n%s", known, jobs, w.up.said())
		case <-time.After(100 * time.Millisecond):
		}
		known = 0
		for _, j := range w.sim.Jobs() {
			if j.Status == githubsim.StatusCompleted {
				known++ // of what has run it has heard
			}
		}
		for _, p := range tooltest.JSON[inspect.Status](t, "status", "--json", "--config", w.config()).Pools {
			known += p.Queued + p.Running
		}
	}
}

// onceOrCancelled fails t unless every job has succeeded on one runner, or was cancelled; it returns how many ran.
func (w *world) onceOrCancelled(t *testing.T) (given int) {
	t.Helper()
	for _, j := range w.sim.Jobs() {
		if j.Conclusion != githubsim.Success && j.Conclusion != githubsim.Cancelled || j.Conclusion == githubsim.Success && j.Started != 1 || j.Given > 1 {
			t.Errorf("job %d: %s, given to runners %d times, begun %d times; want success, once", j.ID, j.Conclusion, j.Given, j.Started)
		}
		given += j.Given
	}
	return given
}

// TestIdleMemory looks at a mayfly up that has nothing to do any more: it lets go of what
// its start needed.
func TestIdleMemory(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	res, err := http.Get("http://" + w.listen + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	got := w.up.memory(t, "VmRSS")
	for deadline := time.Now().Add(20 * time.Second); got > 40e6 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got = w.up.memory(t, "VmRSS")
	}
	t.Logf("%.1f MB resident", float64(got)/1e6)
	if got > 40e6 {
		t.Errorf("%d bytes resident, want under 40 MB", got)
	}
	w.up.stop(t)
}

// memory returns a figure of the process's /proc/PID/status, in bytes.
func (p *upProcess) memory(t *testing.T, figure string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(figure + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no %s in %s", figure, status)
	}
	kB, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kB << 10
}
