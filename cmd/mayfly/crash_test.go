package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
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
	t.Logf("%d kills in %v", kills, time.Since(begun))
	w.completed(t, jobs, 2*time.Minute)
	t.Logf("%d jobs in %v", jobs, time.Since(begun))
	for _, j := range w.sim.Jobs() {
		if j.Conclusion != githubsim.Success || j.Started != 1 || j.Given != 1 {
			t.Errorf("job %d: %s, given to runners %d times, begun %d times; want success, once", j.ID, j.Conclusion, j.Given, j.Started)
		}
	}
	w.nothingLeft(t, 30*time.Second)
	t.Logf("nothing left after %v; %d runners made", time.Since(begun), len(w.runners(t, "--all")))
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
