package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A JobState says how far a job has come. It only ever moves forward, so that
// events may arrive in any order and any number of times.
type JobState string

// The states of a job, in their order. An unroutable job is one that is queued
// or waiting and fits no pool.
const (
	JobWaiting    JobState = "waiting"
	JobQueued     JobState = "queued"
	JobUnroutable JobState = "unroutable"
	JobRunning    JobState = "running"
	JobCompleted  JobState = "completed"
)

// rank gives the order of states; unroutable stands where queued does.
func (s JobState) rank() int {
	switch s {
	case JobWaiting:
		return 1
	case JobQueued, JobUnroutable:
		return 2
	case JobRunning:
		return 3
	case JobCompleted:
		return 4
	}
	return 0
}

// stateOf returns the state that an action of a workflow_job event tells of.
func stateOf(action string) (JobState, bool) {
	switch action {
	case event.ActionWaiting:
		return JobWaiting, true
	case event.ActionQueued:
		return JobQueued, true
	case event.ActionInProgress:
		return JobRunning, true
	case event.ActionCompleted:
		return JobCompleted, true
	}
	return "", false
}

// Conclusions that the ledger itself gives a job of which GitHub says nothing
// more. What GitHub says later replaces them.
const (
	ConclusionAbandoned = "abandoned" // queued for longer than GitHub lets a job wait
	ConclusionLost      = "lost"      // GitHub does not know the job any more
)

// A Job is one attempt of a workflow job.
type Job struct {
	Key      JobKey   `json:"job"`
	Scope    Scope    `json:"scope"`
	Pool     string   `json:"pool"` // "" when it fits none
	Labels   LabelSet `json:"labels"`
	Name     string   `json:"name"`
	Workflow string   `json:"workflow,omitempty"`
	URL      string   `json:"url,omitempty"` // its page at GitHub

	State      JobState   `json:"state"`
	Conclusion string     `json:"conclusion,omitempty"` // once completed: success, failure, cancelled …
	RunnerName RunnerName `json:"runner,omitempty"`     // who runs it, by GitHub's word; may be no runner of ours

	Created   time.Time `json:"created"`            // by GitHub's clock, as Started and Completed
	Queued    time.Time `json:"queued,omitzero"`    // when it was first called queued
	Started   time.Time `json:"started,omitzero"`   // zero unless it ran
	Completed time.Time `json:"completed,omitzero"` // zero until then

	First       RunnerName `json:"first,omitempty"`        // the first runner made for it
	Runners     int        `json:"runners"`                // runners made for it so far
	Failures    int        `json:"failures,omitempty"`     // of those, how many went away without running a job
	LastFailure string     `json:"last_failure,omitempty"` // why the last of them did
	NotBefore   time.Time  `json:"not_before,omitzero"`    // no further runner before this
	CheckAt     time.Time  `json:"check_at,omitzero"`      // when GitHub is to be asked about it, if nothing is heard

	History []Step `json:"history"`
}

// Settled reports whether the job needs nothing any more: it is completed, or
// no pool of ours takes it.
func (j Job) Settled() bool { return j.State == JobCompleted || j.Pool == "" }

// merge takes over what w, sent at, tells. Whatever the order of a job's events, the
// outcome is the same: of two that disagree the one further on counts, of two
// times of the same thing the earlier.
func (j *Job) merge(w event.WorkflowJob, told JobState, at time.Time) {
	newer := told.rank() >= j.State.rank()
	adopt(&j.Scope.Repository, w.Repository, newer)
	adopt(&j.Scope.Organization, w.Organization, newer)
	adopt(&j.Scope.Enterprise, w.Enterprise, newer)
	adopt(&j.Scope.Installation, w.Installation, newer)
	adopt(&j.Labels, NewLabelSet(w.Labels), newer)
	adopt(&j.Name, w.Name, newer)
	adopt(&j.Workflow, w.Workflow, newer)
	adopt(&j.URL, w.URL, newer)
	adopt(&j.RunnerName, RunnerName(w.RunnerName), newer)
	earliest(&j.Created, cmp.Or(w.Created, at))
	switch told {
	case JobQueued:
		earliest(&j.Queued, at)
	case JobRunning:
		earliest(&j.Started, w.Started)
	case JobCompleted:
		adopt(&j.Conclusion, w.Conclusion, true)
		earliest(&j.Completed, cmp.Or(w.Completed, at))
	}
	if newer {
		j.State = told
	}
}

// adopt sets what is not known yet, and what is when the word is newer.
func adopt[T comparable](to *T, value T, newer bool) {
	var unknown T
	if value != unknown && (newer || *to == unknown) {
		*to = value
	}
}

func earliest(to *time.Time, t time.Time) {
	if !t.IsZero() && (to.IsZero() || t.Before(*to)) {
		*to = t
	}
}

// A Step is one thing that happened to a job or runner.
type Step struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // one of few words, such as "queued"
	Note string    `json:"note,omitempty"`
}

// A history keeps its first and its last steps: how it began and how it stands.
const (
	maxHistory = 32
	keptFirst  = 8
	maxNote    = 300 // bytes
)

// remember returns history with one more step. It never changes history's own
// memory, which values given out before share.
func remember(history []Step, at time.Time, what, note string) []Step {
	history = slices.Clone(history)
	if len(history) >= maxHistory {
		history = slices.Delete(history, keptFirst, keptFirst+1)
	}
	return append(history, Step{at, what, clean(note)})
}

// clean bounds what others say, and makes it text.
func clean(note string) string {
	if len(note) > maxNote {
		note = note[:maxNote] + "…"
	}
	return strings.ToValidUTF8(note, "")
}
