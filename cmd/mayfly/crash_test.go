package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
)

// TestCrash kills mayfly up at random moments of a run and starts it again each time.
// Every job must run once, and nothing may be left of any runner.
func TestCrash(t *testing.T) {
	need(t, "bwrap")
	const jobs = 200
	kills := 50
	if testing.Short() {
		kills = 10
	}
	random := rand.New(rand.NewPCG(seed(t), 0))
	w := newWorld(t, worldConfig{pool: "max: 8"})
	begun := time.Now()
	w.start(t)
	w.push(t, map[string]string{".github/workflows/many.yml": workflow(jobs, "true")})
	for i := range kills {
		// The moments are spread over the run by its progress, whatever the machine's
		// speed; where within a moment's work the kill strikes, chance decides.
		w.completed(t, i*jobs/(kills+1), time.Minute)
		<-time.After(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
		if !w.up.kill() {
			t.Fatalf("mayfly up number %d ended by itself: %v\n%s", i+1, w.up.cmd.ProcessState, w.up.said())
		}
		w.start(t)
	}
	w.completed(t, jobs, 2*time.Minute)
	took := time.Since(begun)
	w.once(t)
	w.nothingLeft(t, 30*time.Second)
	t.Logf("%d jobs and %d kills in %v, %d runners made", jobs, kills, took, len(w.runners(t, "--all")))
	w.up.stop(t)
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
	need(t, "bwrap")
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
