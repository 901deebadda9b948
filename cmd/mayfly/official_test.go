package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest/official"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// officialWorld is a world whose runners are GitHub's run.sh, in the sandbox as
// docs/operate.md has it or as more says.
func officialWorld(t *testing.T, c worldConfig, inside string) *world {
	t.Helper()
	tooltest.Need(t, "bwrap")
	host := filepath.Join(t.TempDir(), "actions-runner")
	if err := official.LayOut(host, tooltest.Binary("mayfly-minirunner")); err != nil {
		t.Fatal(err)
	}
	c.launcher = fmt.Sprintf("launcher: sandbox\nsandbox: {runner: %q}", host)
	if inside != pool.Home {
		c.launcher = fmt.Sprintf("launcher: sandbox\nsandbox: {programs: {%q: %q}}", host, inside)
	}
	return newWorld(t, c)
}

// TestOfficialRunner runs jobs on GitHub's run.sh: as documented, and as data/field's
// sandbox-official.yaml does.
func TestOfficialRunner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ inside, command string }{
		"as documented":   {pool.Home, pool.Home + "/run.sh"},
		"copied by a job": {"/opt/actions-runner", `bash, -c, "cp -r /opt/actions-runner/. /home/runner/ && exec /home/runner/run.sh"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := officialWorld(t, worldConfig{command: c.command}, c.inside)
			w.serve(t)
			w.push(t, map[string]string{".github/workflows/x.yml": workflow(3, "true")})
			w.completed(t, 3, time.Minute)
			w.once(t)
			w.nothingLeft(t, 30*time.Second)
			w.up.stop(t)
		})
	}
}

// TestOfficialRunnerUpdatesItself has the runner leave and come again before it gets its job.
func TestOfficialRunnerUpdatesItself(t *testing.T) {
	t.Parallel()
	w := officialWorld(t, worldConfig{command: "env, MAYFLY_TEST_UPDATE=1, " + pool.Home + "/run.sh"}, pool.Home)
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/x.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.once(t)
	w.nothingLeft(t, 30*time.Second)
	var steps []string
	for _, r := range w.runners(t, "--all") {
		for _, s := range r.History {
			steps = append(steps, s.What)
		}
	}
	if got := strings.Join(steps, " "); !strings.Contains(got, "idle restarting busy") || len(w.runners(t, "--all")) != 1 {
		t.Errorf("steps %s, want one runner that restarts", got)
	}
	w.up.stop(t)
}

// hungry is data/field's 20-oom.yml: the step succeeds although the kernel killed a process of it.
const hungry = "head -c 900m /dev/zero | tail | wc -c"

// TestOutOfMemory tells of the kernel's kills on runner and job, although the job went well.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	for launcher, place := range map[string]func(*testing.T) worldConfig{"sandbox": inSandbox, "engine": inEngine} {
		t.Run(launcher, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place(t))
			w.serve(t)
			w.push(t, map[string]string{".github/workflows/x.yml": workflow(1, hungry)})
			w.completed(t, 1, time.Minute)
			w.nothingLeft(t, 30*time.Second)
			if j := w.sim.Jobs()[0]; j.Conclusion != "success" {
				t.Errorf("the job ended with %s, want success: its shell sees the exit code of wc only", j.Conclusion)
			}
			r := w.runners(t, "--all")[0]
			if m := r.Memory; m.Kills != 1 || m.Limit != 512<<20 || m.Peak < 256<<20 {
				t.Errorf("memory of the runner: %+v, want one kill at 512 MiB", m)
			}
			const want = "out of memory: the kernel killed 1 process of the job at the limit of 512 MiB"
			for _, page := range [][]string{{"runners", string(r.Name)}, {"jobs", r.Runs.String()}} {
				out, errs, _ := tooltest.Mayfly(t, append(page, "--config", w.config())...)
				if !strings.Contains(out, want) {
					t.Errorf("mayfly %s:\n%s%s\nwant %q", page[0], out, errs, want)
				}
			}
			if jobs := tooltest.JSON[[]inspect.Job](t, "jobs", r.Runs.String(), "--json", "--config", w.config()); jobs[0].Memory != r.Memory {
				t.Errorf("jobs --json: %+v", jobs[0].Memory)
			}
			w.up.stop(t)
		})
	}
}

// TestCrashIsTold has a runner crash before it has a job: why and what it printed are told.
func TestCrashIsTold(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{command: `bash, -c, "echo 'An error occurred: no good'; kill -SEGV $$"`})
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/x.yml": workflow(1, "true")})
	crashed := func() *ledger.Runner {
		for _, r := range w.runners(t, "--all") {
			if r.State == ledger.RunnerGone {
				return &r
			}
		}
		return nil
	}
	r := crashed()
	for end := time.Now().Add(time.Minute); r == nil && time.Now().Before(end); r = crashed() {
		<-time.After(50 * time.Millisecond)
	}
	if r == nil {
		t.Fatal("no runner is gone")
	}
	out, errs, _ := tooltest.Mayfly(t, "runners", string(r.Name), "--config", w.config())
	for _, want := range []string{"killed by SIGSEGV: An error occurred: no good (exit code 139)", "it printed last:\n  An error occurred: no good\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s%s\nlacks %q", out, errs, want)
		}
	}
	w.up.stop(t)
}
