package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// A chaos is how much befalls a world. Where within a moment's work something strikes, chance decides.
type chaos struct {
	jobs    int
	kills   int           // of mayfly up
	runners int           // of them, so many also kill a runner's container
	engines int           // of them, so many also restart the engine
	within  time.Duration // all jobs must be over this long after the last kill
}

// TestChaos kills mayfly up again and again while jobs run, and runners with it; deliveries are lost, doubled, late and
// in disorder, and GitHub refuses calls and loses answers. Every job ends once, and nothing is left.
func TestChaos(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	c := chaos{jobs: 120, kills: 40, runners: 8, within: 4 * time.Minute}
	if testing.Short() {
		c.jobs, c.kills, c.runners = 40, 8, 2
	}
	if thorough() {
		c.jobs, c.runners = 400, 16
	}
	c.befall(t, worldConfig{})
}

// TestChaosInEngine is TestChaos with containers of an engine, which is restarted, too. It takes long: make chaos.
func TestChaosInEngine(t *testing.T) {
	t.Parallel()
	if !thorough() {
		t.Skip("it takes minutes: make chaos runs it")
	}
	c := chaos{jobs: 60, kills: 12, runners: 4, engines: 3, within: 4 * time.Minute}
	c.befall(t, inEngine(t))
}

// thorough reports whether make chaos runs.
func thorough() bool { return os.Getenv("MAYFLY_CHAOS") == "long" }

// lost is how soon the simulator gives up a job whose runner is silent.
const lost = 20 * time.Second

// befall has all of c befall a world.
func (c chaos) befall(t *testing.T, config worldConfig) {
	random := rand.New(rand.NewPCG(seed(t), 0))
	config.pool, config.lock = strings.TrimSpace("max: 6\n    "+config.pool), lost
	w := newWorld(t, config)
	w.trouble(t)
	begun, killed := time.Now(), 0
	w.start(t)
	w.push(t, workflows(c.jobs))
	for i := range c.kills {
		// The moments are spread over the run by its progress, whatever the machine's speed.
		w.completed(t, i*c.jobs*9/10/(c.kills+1), 2*time.Minute)
		<-time.After(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
		if i*c.runners/c.kills != (i+1)*c.runners/c.kills {
			killed += w.killRunner(t, random)
		}
		if i*c.engines/c.kills != (i+1)*c.engines/c.kills {
			w.serving(t) // one that starts while there is no engine says so and ends
			w.engineDown(t)
			w.engineUp(t)
		}
		if !w.up.kill() {
			t.Fatalf("mayfly up number %d ended by itself: %v\n%s", i+1, w.up.cmd.ProcessState, w.up.said())
		}
		w.start(t)
	}
	w.completed(t, c.jobs, c.within)
	took := time.Since(begun)
	w.endedOnce(t, killed)
	w.calm()
	w.nothingLeft(t, 3*time.Minute) // a lost word on a job's end is asked for again each minute
	t.Logf("%d jobs, %d kills and %d of runners in %v, %d runners made", c.jobs, c.kills, killed, took, len(w.runners(t, "--all")))
	w.up.stop(t)
}

// workflows have so many jobs together: a matrix has 256 at most.
// https://docs.github.com/en/actions/reference/limits
func workflows(jobs int) map[string]string {
	files := map[string]string{}
	for jobs > 0 {
		some := min(jobs, 200)
		files[fmt.Sprintf(".github/workflows/many%d.yml", len(files)+1)] = workflow(some, "true")
		jobs -= some
	}
	return files
}

// trouble has deliveries and calls go wrong.
func (w *world) trouble(t *testing.T) {
	t.Helper()
	w.sim.SetDeliveryFaults(hook.Faults{Lose: 0.2, Double: 0.2, Reorder: 0.2, Delay: 0.2, MaxWait: 2 * time.Second})
	for _, path := range []string{"/repos/*/*/actions/runners/generate-jitconfig", "/repos/*/*/actions/runners", "/repos/*/*/actions/runners/*", "/repos/*/*/actions/jobs/*"} {
		for _, rule := range []fault.Rule{
			{Status: http.StatusBadGateway, Probability: 0.08},
			{Status: http.StatusTooManyRequests, RetryAfter: 2, Probability: 0.03},
			{Cut: true, Probability: 0.05},
		} {
			rule.Path = path
			if _, err := w.sim.Faults().Add(rule); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// calm has everything go right from now on.
func (w *world) calm() {
	w.sim.SetDeliveryFaults(hook.Faults{})
	w.sim.Faults().Clear()
}

// killRunner kills all processes of one container, and returns 1 if there was one.
func (w *world) killRunner(t *testing.T, random *rand.Rand) int {
	t.Helper()
	var pids []int
	instance := w.instance(t)
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, _ := os.ReadFile(f) // it may have ended by now
		if instance != "" && bytes.Contains(line, []byte(instance+"-small-")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return 0
	}
	syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL) // an error means that it has ended
	return 1
}

// endedOnce fails t unless every job has ended once: with success, but for those whose runner was killed.
func (w *world) endedOnce(t *testing.T, killed int) {
	t.Helper()
	failed := 0
	for _, j := range w.sim.Jobs() {
		if j.Conclusion == githubsim.Failure {
			failed++
		} else if j.Conclusion != githubsim.Success {
			t.Errorf("job %d: %s, want success", j.ID, j.Conclusion)
		}
		if j.Started > 1 {
			t.Errorf("job %d has begun %d times, want once", j.ID, j.Started)
		}
	}
	if failed > killed {
		t.Errorf("%d jobs failed, and %d runners were killed", failed, killed)
	}
}

// seed returns what random choices of a test begin with: another each time, or that of
// a run to be repeated.
func seed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if again := os.Getenv("MAYFLY_TEST_SEED"); again != "" {
		var err error
		if seed, err = strconv.ParseUint(again, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("MAYFLY_TEST_SEED=%d repeats the random choices", seed)
	return seed
}

// TestSecondUp starts mayfly up a second time with the same state folder.
func TestSecondUp(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	first := w.up
	w.start(t)
	<-w.up.ended
	if code, said := w.up.cmd.ProcessState.ExitCode(), w.up.said(); code != cli.ExitBusy || !strings.Contains(said, "hint: another mayfly up uses this state folder") {
		t.Errorf("a second mayfly up: exit code %d, want %d and a hint\n%s", code, cli.ExitBusy, said)
	}
	first.stop(t)
}

// containers lists what an engine has of an instance, for what is left; nothing without an engine.
func (w *world) containers(t *testing.T, instance string) (list []string) {
	if w.list == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	found, err := w.list(ctx, instance)
	if err != nil {
		return []string{fmt.Sprintf("containers of %s: %v", instance, err)}
	}
	for _, c := range found {
		list = append(list, "container "+c.Runner)
	}
	return list
}
