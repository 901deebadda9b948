package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A Story is the whole answer to why a job is where it is: the cause, its fix, and each step with its time.
type Story struct {
	Key ledger.JobKey `json:"job"`
	why.Answer
	Known  *ledger.Job `json:"known"`            // what the ledger has of it; null if it was never told
	Queue  *Queue      `json:"queue,omitempty"`  // while it waits for room
	Steps  []Step      `json:"steps"`            // in the order of time
	Output string      `json:"output,omitempty"` // the last lines of the runner that failed it
	Forge  *Inquiry    `json:"forge,omitempty"`  // what the forge said, where it was asked
}

// A Step is a thing that happened to a job or to a runner of it.
type Step struct {
	At     time.Time         `json:"at"`
	Step   string            `json:"step"` // one of the names of this file, or of the ledger's history
	Note   string            `json:"note,omitempty"`
	Runner ledger.RunnerName `json:"runner,omitempty"` // whose step it is; "" for the job's
	Took   float64           `json:"took_seconds"`     // until the next step, or until now for the last one of a job that is not over
}

// The steps on the way of a job, in their order. Others, such as "runner failed", are those of the ledger's histories.
const (
	StepQueued     = "queued" // at the forge, by its clock
	StepHeard      = "heard"
	StepHeld       = ledger.StepHeld
	StepWanted     = "runner wanted"
	StepStarting   = "starting"
	StepStarted    = "started"
	StepClaimed    = "claimed"
	StepRegistered = "registered"
	StepListening  = "listening"
	StepChosen     = "chosen"
	StepTaken      = "taken" // the forge gave its runner to another job
	StepRunning    = "running"
	StepDone       = "done"
	StepRemoved    = "removed"
)

// Why tells the story of the job of key, which the ledger has; else [ledger.ErrNotFound].
func (s *Source) Why(ctx context.Context, key ledger.JobKey, now time.Time) (*Story, error) {
	jobs, err := s.Ledger.Jobs(ctx, ledger.JobQuery{Key: key})
	if err != nil {
		return nil, err
	}
	state, err := s.Ledger.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.scene(ctx, state, jobs, now)
	if err != nil {
		return nil, err
	}
	runners, err := s.runnersOf(ctx, jobs[0])
	if err != nil {
		return nil, err
	}
	return c.story(jobs[0], runners), nil
}

// runnersOf returns the runners made for j, and the one that ran it.
func (s *Source) runnersOf(ctx context.Context, j ledger.Job) ([]ledger.Runner, error) {
	list, err := s.Ledger.Runners(ctx, ledger.RunnerQuery{Job: j.Key})
	if err != nil || j.RunnerName == "" || slices.ContainsFunc(list, func(r ledger.Runner) bool { return r.Name == j.RunnerName }) {
		return list, err
	}
	other, err := s.runnerNamed(ctx, j.RunnerName)
	return append(list, other...), err
}

// story tells of j and of the runners that had to do with it.
func (c scene) story(j ledger.Job, runners []ledger.Runner) *Story {
	t := &Story{Key: j.Key, Answer: c.why(j), Known: &j, Steps: c.steps(j, runners)}
	if t.Cause.Kind() == why.Room {
		t.Queue = c.queue(j)
		t.Text += fmt.Sprintf("; it is number %d of %d that wait", t.Queue.Position, max(t.Queue.Of, t.Queue.Position))
	}
	for _, r := range runners {
		switch {
		case r.Name == j.RunnerName && r.Memory.Kills > 0 && j.State == ledger.JobCompleted:
			t.Answer = c.first(why.OutOfMemory, j, r.Memory.Told(), t.Answer)
		case r.Name == j.RunnerName && t.Cause == why.Gone:
			t.Text += ": its runner ended: " + r.Reason
		}
		if r.Output != "" && (j.Failed != nil && r.Name == j.Failed.Runner || r.Name == j.RunnerName) {
			t.Output = r.Output
		}
	}
	return t
}

// named are the names that steps of the ledger's histories have here; "" for those that another step tells.
var named = map[string]string{
	"queued": StepHeard, "running": StepRunning, "completed": StepDone, "claimed": "", "runner failed": "",
	"runner/wanted": "", "runner/claimed": StepClaimed, "runner/idle": StepListening, "runner/busy": StepChosen, "runner/gone": StepRemoved,
}

// steps joins what happened at the forge, to the job and to its runners.
func (c scene) steps(j ledger.Job, runners []ledger.Runner) []Step {
	var all []Step
	if !j.Queued.IsZero() {
		all = append(all, Step{At: cmp.Or(j.ReportedAt, j.Created), Step: StepQueued, Note: strings.Join(j.Labels.Labels(), ", ")})
	}
	for _, s := range j.History {
		all = appendStep(all, s, "", "")
	}
	for _, r := range runners {
		for _, s := range r.History {
			all = appendStep(all, s, "runner/", r.Name)
		}
		if !r.Runs.IsZero() && r.Runs != j.Key {
			all = append(all, Step{At: r.Listened, Step: StepTaken, Note: fmt.Sprintf("%s gave it job %s", c.state.Limits().Forge, r.Runs), Runner: r.Name})
		}
	}
	slices.SortStableFunc(all, func(a, b Step) int { return a.At.Compare(b.At) })
	for i := range all {
		until := c.now
		if i+1 < len(all) {
			until = all[i+1].At
		} else if j.Settled() {
			until = all[i].At
		}
		all[i].Took = max(0, until.Sub(all[i].At)).Seconds()
	}
	return all
}

// appendStep adds a step of a history by its name here.
func appendStep(all []Step, s ledger.Step, of string, runner ledger.RunnerName) []Step {
	name, known := named[of+s.What]
	switch {
	case !known:
		name = s.What
	case name == "":
		return all
	}
	if of != "" && s.What == string(ledger.RunnerStarting) && s.Note != "" {
		name = StepStarted
	}
	return append(all, Step{At: s.At, Step: name, Note: s.Note, Runner: runner})
}
