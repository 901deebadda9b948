package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// burstMemory is what mayfly up may take at most, in bytes, with a thousand jobs queued.
const burstMemory = 100e6

// TestBurst queues a thousand jobs at once, many times what may run at once. Each must
// get one runner, and mayfly's memory must stay bounded.
func TestBurst(t *testing.T) {
	tooltest.Need(t, "bwrap")
	files := 4 // a matrix has 256 legs at most
	if testing.Short() {
		files = 1
	}
	const each = 250
	push := map[string]string{}
	for i := range files {
		push[fmt.Sprintf(".github/workflows/%d.yml", i)] = workflow(each, "true")
	}
	w := newWorld(t, worldConfig{pool: "max: 8"})
	w.serve(t)
	begun := time.Now()
	w.push(t, push)
	w.completed(t, files*each, 10*time.Minute)
	took := time.Since(begun)
	w.once(t)
	w.nothingLeft(t, 30*time.Second)
	made := w.runners(t, "--all")
	claims := 0
	for _, r := range made {
		if !r.Claimed.IsZero() {
			claims++
		}
	}
	if claims != files*each {
		t.Errorf("%d runners have claimed, want one for each of %d jobs", claims, files*each)
	}
	peak := w.up.memory(t, "VmHWM")
	if peak > burstMemory {
		t.Errorf("%d bytes resident at most, want under %.0f", peak, burstMemory)
	}
	t.Logf("%d jobs in %v, %d runners made, %.1f MB resident at most", files*each, took, len(made), float64(peak)/1e6)
	w.up.stop(t)
}

// TestIdleMemory looks at a mayfly up that has nothing to do any more: it lets go of what
// its start needed.
func TestIdleMemory(t *testing.T) {
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
