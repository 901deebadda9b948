package ledger

import (
	"fmt"
	"time"
)

// Stepped says that the store's clock has been set By forward, or back when By is negative, since
// the last input; or that it went on while the machine stood still. Every deadline that is open moves with it, so that
// no time has passed for it. Give it before any other input at the new time. It knows no [Limits].Changes.
type Stepped struct{ By time.Duration }

func (in Stepped) about() (JobKey, RunnerName) { return JobKey{}, "" }

func (in Stepped) apply(t *tx) {
	by := in.By.Truncate(time.Millisecond)
	note := fmt.Sprintf("by %v: deadlines move with it", by)
	for _, j := range t.jobsWhere(func(j Job) bool { return !j.Settled() }) {
		shift(by, &j.Queued, &j.NotBefore, &j.CheckAt, &j.Overdue, &j.Confirmed)
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

// shift moves the times that are set.
func shift(by time.Duration, times ...*time.Time) {
	for _, at := range times {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
}
