package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A JobState says how far a job has come. Once it runs it only moves forward, so that
// events may arrive in any order and any number of times. Before, it goes
// between waiting and queued as GitHub's approvals and protection rules have it.
type JobState string

// The states of a job, in their order. An unroutable or hosted job is one that is queued
// or waiting and fits no pool; a hosted one needs none, because GitHub's own runners take it.
const (
	JobWaiting    JobState = "waiting"
	JobQueued     JobState = "queued"
	JobUnroutable JobState = "unroutable"
	JobHosted     JobState = "hosted"
	JobRunning    JobState = "running"
	JobCompleted  JobState = "completed"
)

// rank gives the order of states; unroutable and hosted stand where queued does.
func (s JobState) rank() int {
	switch s {
	case JobWaiting:
		return 1
	case JobQueued, JobUnroutable, JobHosted:
		return 2
	case JobRunning:
		return 3
	case JobCompleted:
		return 4
	}
	return 0
}

// begun reports whether a job in state s needs no runner any more.
func (s JobState) begun() bool { return s.rank() >= JobRunning.rank() }

// stateOf returns the state that a workflow_job payload tells of.
func stateOf(w event.WorkflowJob) (JobState, bool) {
	switch w.State() {
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

	// Word is whether it waited or was queued by GitHub's last word of that, whatever became of it since; Said
	// is GitHub's own time of that word: started_at, which moves when it is queued again.
	Reported   JobState  `json:"word,omitempty"`
	ReportedAt time.Time `json:"said,omitzero"`
	Overdue    time.Time `json:"overdue,omitzero"`   // since when GitHub is asked whether it still waits, past GitHub's own limit; zero unless it is
	Confirmed  time.Time `json:"confirmed,omitzero"` // when GitHub, asked, last said that it still waits
	GaveUp     time.Time `json:"gave_up,omitzero"`   // when the ledger ended it without GitHub's word; zero unless it did

	Created   time.Time `json:"created"`            // by GitHub's clock, as Started and Completed
	Queued    time.Time `json:"queued,omitzero"`    // when the word that it is queued came; zero while it waits
	Started   time.Time `json:"started,omitzero"`   // zero unless it ran
	Completed time.Time `json:"completed,omitzero"` // zero until then

	First       RunnerName `json:"first,omitempty"`        // the first runner made for it
	Runners     int        `json:"runners"`                // runners made for it so far
	Failures    int        `json:"failures,omitempty"`     // of those, how many went away without running a job
	LastFailure string     `json:"last_failure,omitempty"` // why the last of them did
	Ignored     int        `json:"ignored,omitempty"`      // of them, those that listened and that GitHub did not give the job
	Refused     int        `json:"refused,omitempty"`      // of them, those that GitHub refused to register
	NotBefore   time.Time  `json:"not_before,omitzero"`    // no further runner before this
	CheckAt     time.Time  `json:"check_at,omitzero"`      // when GitHub is to be asked about it, if nothing is heard

	History []Step `json:"history"`
}

// Settled reports whether the job needs nothing any more: it is completed, or
// no pool of ours takes it.
func (j Job) Settled() bool { return j.State == JobCompleted || j.Pool == "" }

// upgrade fills in what jobs that were kept by earlier versions lack.
func (j *Job) upgrade() {
	switch {
	case j.Reported != "" || j.State == "":
		return
	case j.Queued.IsZero() && (j.State == JobUnroutable || j.State == JobWaiting):
		j.Reported = JobWaiting
	case j.Queued.IsZero():
		return
	default:
		j.Reported = JobQueued
	}
	j.ReportedAt = j.Created
	if j.gaveUp() && j.GaveUp.IsZero() {
		j.GaveUp = j.Created
	}
}

// gaveUp reports whether j was given up without GitHub's word.
func (j Job) gaveUp() bool {
	return j.Conclusion == ConclusionAbandoned || j.Conclusion == ConclusionLost
}

// A verdict says what a word on a job is to what was heard of it before.
type verdict int

const (
	older    verdict = iota // it tells of the past
	same                    // it tells of the same
	newer                   // it tells how the job stands
	doubtful                // nothing in it tells whether it is older or newer
)

// judge says what w, a word of the time at, is to j. Once a job has begun the word that is further on is the newer.
func (j *Job) judge(w event.WorkflowJob, reported JobState, at time.Time, asked bool) verdict {
	stands := j.State
	if !j.GaveUp.IsZero() {
		stands = j.Reported
	}
	if reported.begun() || stands.begun() {
		return compared(reported.rank() - stands.rank())
	}
	return j.judgeWait(w, reported, at, asked)
}

// judgeWait is judge for a word that the job waits or is queued, by what was heard of that.
// GitHub's own time of the word decides. Where that is the same, queued counts, since a
// runner too many is a smaller fault than a job without one; but it may have come to wait
// after that. What GitHub answers when it is asked is never in doubt.
func (j *Job) judgeWait(w event.WorkflowJob, reported JobState, at time.Time, asked bool) verdict {
	said := reportedAt(w)
	switch {
	case asked && at.Before(j.Queued):
		return older
	case asked && reported != j.Reported, j.Reported == "", j.afterGivingUp(at):
		return newer
	case !said.IsZero() && !said.Equal(j.ReportedAt):
		return compared(said.Compare(j.ReportedAt))
	case reported.rank() < j.Reported.rank():
		return doubtful
	}
	return compared(reported.rank() - j.Reported.rank())
}

// afterGivingUp reports whether a word of the time at came after j was given up.
func (j *Job) afterGivingUp(at time.Time) bool { return !j.GaveUp.IsZero() && at.After(j.GaveUp) }

func compared(c int) verdict {
	switch {
	case c < 0:
		return older
	case c > 0:
		return newer
	}
	return same
}

// reportedAt is GitHub's time of a word that a job waits or is queued.
func reportedAt(w event.WorkflowJob) time.Time {
	if w.Started.After(w.Created) {
		return w.Started
	}
	return w.Created
}

// merge takes over what w, sent at, tells. Whatever the order of a job's events, the outcome is the
// same, unless they are in doubt: of two that disagree the newer counts, of two times of the same thing the earlier.
func (j *Job) merge(w event.WorkflowJob, reported JobState, at time.Time, asked bool, v verdict) {
	fresh := v == newer || v == same
	adopt(&j.Scope.Repository, w.Repository, fresh)
	adopt(&j.Scope.Organization, w.Organization, fresh)
	adopt(&j.Scope.Enterprise, w.Enterprise, fresh)
	adopt(&j.Scope.Installation, w.Installation, fresh)
	adopt(&j.Labels, NewLabelSet(w.Labels), fresh)
	adopt(&j.Name, w.Name, fresh)
	adopt(&j.Workflow, w.Workflow, fresh)
	adopt(&j.URL, w.URL, fresh)
	adopt(&j.RunnerName, RunnerName(w.RunnerName), fresh)
	earliest(&j.Created, cmp.Or(w.Created, at))
	switch reported {
	case JobWaiting, JobQueued:
		j.wait(w, reported, at, j.judgeWait(w, reported, at, asked))
	case JobRunning:
		earliest(&j.Started, w.Started)
	case JobCompleted:
		adopt(&j.Conclusion, w.Conclusion, true)
		earliest(&j.Completed, cmp.Or(w.Completed, at))
	}
	if v != newer {
		return
	}
	if !reported.begun() {
		j.Conclusion = "" // of one that was given up
	}
	j.State, j.GaveUp = reported, time.Time{}
}

// wait takes over a word that j waits or is queued.
func (j *Job) wait(w event.WorkflowJob, reported JobState, at time.Time, v verdict) {
	switch {
	case v == newer:
		j.Reported, j.Queued = reported, time.Time{}
		if said := reportedAt(w); said.After(j.ReportedAt) {
			j.ReportedAt = said
		}
		if reported == JobQueued {
			j.Queued = at
		}
	case v == same && reported == JobQueued:
		earliest(&j.Queued, at)
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
