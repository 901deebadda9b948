package githubsim_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// matrix is a workflow of n jobs for the label linux.
func matrix(n int) string {
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = fmt.Sprint(i)
	}
	return "on: push\njobs: {j: {runs-on: linux, strategy: {matrix: {n: [" + strings.Join(numbers, ",") + "]}}, steps: [{run: 'true'}]}}"
}

// runAll pushes runs of legs jobs each, and has each job run by a runner of its
// own, 32 at once.
func (w *world) runAll(runs, legs int) {
	for range runs {
		w.push(matrix(legs))
	}
	var all sync.WaitGroup
	gate := make(chan struct{}, 32)
	for range runs * legs {
		gate <- struct{}{}
		all.Go(func() {
			w.runNext("succeeded", nil, "linux")
			<-gate
		})
	}
	all.Wait()
}

func TestManyJobs(t *testing.T) {
	w := newWorld(t, func(c *githubsim.Config) { c.Poll = 20 * time.Second })
	r := newReceiver(t)
	w.webhook(r)
	const runs, legs = 2, 100
	w.runAll(runs, legs)
	had := map[string]bool{}
	for _, j := range w.Jobs() {
		if j.Conclusion != githubsim.Success || j.Started != 1 || j.Given != 1 || had[j.Runner] {
			t.Fatalf("job is %+v", j)
		}
		had[j.Runner] = true
	}
	if got := len(w.Runners()); len(had) != runs*legs || got != 0 {
		t.Errorf("%d jobs ran, %d runners are left", len(had), got)
	}
	w.settled()
	if got := len(r.of("workflow_job", "completed")); got != runs*legs {
		t.Errorf("%d deliveries of completed jobs, want %d", got, runs*legs)
	}
}

// BenchmarkThousandJobs is the whole of 1,000 jobs queued at once, the runners'
// side of the protocol included, but no webhook.
func BenchmarkThousandJobs(b *testing.B) {
	for b.Loop() {
		newWorld(b, func(c *githubsim.Config) { c.Poll = 20 * time.Second }).runAll(5, 200)
	}
}

// TestWaitingRunnersHearAtOnce: runners that wait before there is a job do not
// wait for the end of their poll.
func TestWaitingRunnersHearAtOnce(t *testing.T) {
	w := newWorld(t, func(c *githubsim.Config) { c.Poll = time.Minute })
	const n = 10
	var all sync.WaitGroup
	for i := range n {
		r := w.jitRunner(fmt.Sprint("r", i), "linux").connect()
		all.Go(func() { r.run("succeeded", nil) })
	}
	begun := time.Now()
	for range n {
		w.push("on: push\njobs: {j: {runs-on: linux, steps: [{run: 'true'}]}}")
	}
	all.Wait()
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, j := range w.Jobs() {
		if j.Started != 1 || j.Conclusion != githubsim.Success {
			t.Errorf("job is %+v", j)
		}
	}
}

func TestSubscription(t *testing.T) {
	w := newWorld(t)
	sub := w.Subscribe()
	w.push(one)
	w.runNext("failed", nil, "linux", "x64")
	sub2 := w.Subscribe()
	sub2.Close()
	if _, more := sub2.Next(t.Context()); more {
		t.Error("a closed subscription gave a change")
	}
	var got []string
	for len(got) == 0 || got[len(got)-1] != "run completed" {
		c, more := sub.Next(within(t, 5*time.Second))
		if !more {
			t.Fatalf("no more changes after %v", got)
		}
		switch {
		case c.Job != nil:
			got = append(got, "job "+string(c.Job.Status))
		case c.Run != nil:
			got = append(got, "run "+string(c.Run.Status))
		case c.Runner != nil:
			got = append(got, "runner "+string(c.RunnerEvent))
		}
	}
	sub.Close()
	want := "run queued, job queued, runner registered, runner online, runner given a job, run in_progress, job in_progress, runner removed, job completed, run completed"
	if strings.Join(got, ", ") != want {
		t.Errorf("changes:\n%s, want\n%s", strings.Join(got, ", "), want)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	client.CloseIdleConnections()
	before := runtime.NumGoroutine()
	t.Run("world", func(t *testing.T) {
		w := newWorld(t)
		w.webhook(newReceiver(t))
		w.push(one)
		w.jitRunner("r1", "other").connect().poll()
		w.settled()
	})
	client.CloseIdleConnections()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		time.Sleep(10 * time.Millisecond) // goroutines of net/http end on their own
	}
	var stacks [1 << 16]byte
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks[:], true)])
}
