package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// A tally is what is counted. It is guarded by the world's mu.
type tally struct {
	events, letters                                int // on the bus; dead letters of rules
	queued, batches, batched, shownAgain, redriven int // of queues
	tries, commits, conflicts, overtaken           int // transactions; items that others had, and heads that were replaced before
	slowed                                         int // calls of DynamoDB for which a partition had no capacity left
	reads, writes                                  float64
	runs, started, unplaced                        int // tasks; those that ran; those that no host came for
	runsThrottled, runsRefused, mostTasks          int
	spotEnds                                       int
	githubCalls, githubRefused, githubAtOnce       int
	registrations                                  int
	deliveriesFailed, redelivered                  int
	answers                                        []time.Duration // of the webhook
	dollars, hostDollars                           float64         // for 1,000 jobs
	ends                                           map[string]int  // of tasks: exit code and stop code
}

// by returns the function that is a handler.
func (w *world) by(handler string) *lambdaFunction {
	for _, f := range w.lambda.functions {
		if f.handler == handler {
			return f
		}
	}
	return nil
}

// judge holds the end of the world against what must be.
func (w *world) judge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.tally
	w.bill()
	lost, unsound, hung := 0, 0, 0
	for _, j := range w.github.jobs {
		switch {
		case j.status != "completed":
			lost++
		case j.begun != 1 || j.conclusion != "success" && !j.excused:
			unsound++
		case j.recorded.IsZero():
			hung++
		}
	}
	if lost > 0 {
		w.faultLocked("%d of %d jobs are not over after %v", lost, w.jobs, w.within)
	}
	if unsound+hung > 0 {
		w.faultLocked("%d jobs failed or were begun twice, %d are not in the ledger", unsound, hung)
	}
	if hook := w.by(contract.HandlerWebhook); !w.bad && hook.counts.throttled+hook.counts.failed+hook.counts.timedOut > 0 {
		w.faultLocked("the webhook was throttled %d times, failed %d times and timed out %d times", hook.counts.throttled, hook.counts.failed, hook.counts.timedOut)
	}
	if per := w.perJob(t.started); per > 1.2 {
		w.faultLocked("%.2f containers for each job: want 1.2 at most", per)
	}
	if most := float64(t.githubCalls) * 0.01; float64(t.githubRefused) > most {
		w.faultLocked("GitHub refused %d of %d calls for its limits: want one in a hundred at most", t.githubRefused, t.githubCalls)
	}
	if t.githubAtOnce > callsAtOnce {
		w.faultLocked("%d calls of GitHub at once: want %d at most", t.githubAtOnce, callsAtOnce)
	}
	w.judgeLedger()
	w.judgeRest()
}

// judgeLedger looks at the aims of the ledger's queue.
func (w *world) judgeLedger() {
	t := &w.tally
	ledger := w.by(contract.HandlerLedger)
	if ledger.peak > 4 {
		w.faultLocked("%d executions of the ledger's function at once: want 4 at most", ledger.peak)
	}
	if tries := float64(t.tries) / float64(max(t.commits, 1)); tries >= 3 {
		w.faultLocked("%.2f tries for each commit: want less than 3", tries)
	}
	if most := t.queued / 50; t.shownAgain > most && !w.bad {
		w.faultLocked("%d of %d messages came again: want one in fifty at most", t.shownAgain, t.queued)
	}
	if ledger.counts.timedOut+ledger.counts.throttled > 0 {
		w.faultLocked("the ledger's function timed out %d times and was throttled %d times", ledger.counts.timedOut, ledger.counts.throttled)
	}
	if last := w.allRecorded(); !w.bad && last > 20*time.Second { // a lost delivery is found by the sweep
		w.faultLocked("a job was recorded %v after it was queued: want 20 s at most", last.Round(ms))
	}
	if slots := w.ecs.slots(); t.mostTasks > slots+slots/10 {
		w.faultLocked("%d tasks at once for %d slots", t.mostTasks, slots)
	}
	if t.runsRefused+t.unplaced > 0 {
		w.faultLocked("ECS refused %d tasks for its quota, and gave up %d that no host came for", t.runsRefused, t.unplaced)
	}
}

// judgeRest looks at what is left.
func (w *world) judgeRest() {
	running := 0
	w.tally.ends = map[string]int{}
	for _, t := range w.ecs.tasks {
		if !t.ended {
			running++
		}
		w.tally.ends[fmt.Sprintf("%d %s", t.code, t.stopCode)]++
	}
	open := 0
	for _, it := range w.table.main.of("open").items {
		if it[w.table.main.sort].text() != "head" {
			open++
		}
	}
	if left := len(w.github.runners); running+open+left > 0 {
		w.faultLocked("left are %d tasks, %d open rows of the ledger and %d registrations: want nothing", running, open, left)
	}
	for id, q := range w.queues {
		if n := len(q.ready) + len(q.under); n > 0 {
			w.faultLocked("left are %d messages of %s, such as %s", n, id, q.sample())
		}
	}
}

func (q *queue) sample() string {
	for _, m := range q.ready {
		return fmt.Sprintf("%.200s %v", m.body, m.attributes)
	}
	return "one that is hidden"
}

// allRecorded is how long the job took that took longest from being queued to being in the ledger.
func (w *world) allRecorded() (longest time.Duration) {
	for _, j := range w.github.jobs {
		if !j.recorded.IsZero() {
			longest = max(longest, j.recorded.Sub(j.queued))
		}
	}
	return longest
}

func (w *world) perJob(n int) float64 { return float64(n) / float64(w.jobs) }

// starts are the times from queued to begun, in order.
func (w *world) starts() (list []time.Duration) {
	for _, j := range w.github.jobs {
		if j.begun > 0 {
			list = append(list, j.started.Sub(j.queued))
		}
	}
	slices.Sort(list)
	return list
}

// at returns the quantile q of list, which is in order.
func at(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[min(int(q*float64(len(list))), len(list)-1)].Round(ms)
}

// ordered sorts and returns list.
func ordered[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return list
}
