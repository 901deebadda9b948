package ledger

import (
	"fmt"
	"unique"

	"github.com/mayfly-ci/mayfly/internal/why"
)

// StepHeld is the step of a job's history that begins a wait for room or for the forge, and says for what; it
// lasts until the next step.
const StepHeld = "held"

// recordHolds adds to each changed job that waits for its runner what it waits for. Jobs that did not change are
// left as they are, so that a wait costs no write of its own: the step tells what held the job when that began.
func (t *tx) recordHolds() {
	for _, key := range t.jobs.keys {
		j := t.State.jobs[key]
		if j.State != JobQueued || j.Pool == "" || t.now.Before(j.NotBefore) || t.own(key).Live() {
			continue
		}
		switch a := t.whyQueued(j, t.now); {
		case a.Cause.Kind() == why.OnItsWay:
		case len(j.History) > 0 && j.History[len(j.History)-1].What == StepHeld:
		default:
			j.History = remember(j.History, t.now, StepHeld, unique.Make(a.Text+t.place(j, a.Cause)).Value())
			t.setJob(j)
		}
	}
}

// place says how many jobs of its pool wait without a runner, j among them.
func (t *tx) place(j Job, c why.Cause) string {
	if c.Kind() != why.Room {
		return ""
	}
	n := 0
	for k, g := range t.groups {
		if k.pool == j.Pool {
			n += len(g.unserved)
		}
	}
	return fmt.Sprintf("; %s of the pool without a runner", counted(rounded(n), "job"))
}

// rounded returns n to two figures, so that many jobs of a long queue share one text.
func rounded(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}
