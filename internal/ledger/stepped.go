package ledger

import (
	"fmt"
	"time"
)

// Stepped reports that the store's clock moved by By relative to real time since the last input: it
// was set, or it advanced while the machine was suspended. Every open deadline moves by the same
// amount, so that no deadline expires because of the step. Apply it before any other input at the
// new time. It ignores [Limits].Changes.
type Stepped struct{ By time.Duration }

func (in Stepped) about() (JobKey, RunnerName) { return JobKey{}, "" }

func (in Stepped) apply(t *tx) {
	by := in.By.Truncate(time.Millisecond)
	note := fmt.Sprintf("by %v: deadlines move with it", by)
	for _, j := range t.jobsWhere(func(j Job) bool { return !j.Settled() }) {
		shift(by, &j.Queued, &j.NotBefore, &j.PutOff, &j.CheckAt, &j.Overdue, &j.Confirmed)
		j.History = remember(j.History, t.now, "clock stepped", note)
		t.setJob(j)
	}
	for _, r := range t.inOrder(Runner.Live) {
		// Not Claimed: it is also the name of a grant, which its holder has in memory.
		shift(by, &r.Since, &r.Started, &r.Listened, &r.Retry, &r.Done, &r.Requested)
		r.History = remember(r.History, t.now, "clock stepped", note)
		t.setRunner(r)
	}
}

// shift moves the times that are not zero.
func shift(by time.Duration, times ...*time.Time) {
	for _, at := range times {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
}
