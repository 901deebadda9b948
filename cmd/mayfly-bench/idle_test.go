package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
)

// maxIdle is what ten sleeping jobs may cost, in percent of a processor: the engine's
// service, what it has beside each container, and Mayfly together. With a call to
// Podman 4.3 that waits for each container it was 140 for one.
const maxIdle = 5

// BenchmarkIdle measures what ten sleeping jobs cost, on each engine.
func BenchmarkIdle(b *testing.B) {
	for engine, serve := range dockertest.Engines {
		b.Run(engine, func(b *testing.B) {
			b.Setenv("DOCKER_HOST", "unix://"+serve(b))
			for b.Loop() {
				list := figures[[]idleFigure](b, "idle", "--launcher", "engine", "--json")
				all := list[len(list)-1]
				for _, f := range list {
					b.Logf("%-45s %5.2f %%", f.What, f.Percent)
				}
				b.ReportMetric(all.Percent, "%core")
				if all.Percent > maxIdle {
					b.Errorf("ten sleeping jobs cost %.1f %% of a processor, want at most %d", all.Percent, maxIdle)
				}
			}
		})
	}
}

// TestReadProcess: a child's time is its parent's when it has ended.
func TestReadProcess(t *testing.T) {
	before := readProcess(os.Getpid())
	if before.pid != os.Getpid() || before.parent != os.Getppid() || before.name == "" {
		t.Errorf("%+v, want process %d of %d", before, os.Getpid(), os.Getppid())
	}
	if err := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	after := readProcess(os.Getpid())
	if took := after.took - before.took; took < 20*time.Millisecond || took > time.Minute {
		t.Errorf("%v of a processor, want what the child took", took)
	}
	if gone := readProcess(1 << 30); gone != (process{}) {
		t.Errorf("%+v of a process that is not there", gone)
	}
}
