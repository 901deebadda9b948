package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A JobState is how far a job has come. From running on it only moves forward, so that events may
// arrive in any order and any number of times. Before that it moves between waiting and queued, as
// GitHub's approvals and protection rules decide.
type JobState string

// The states of a job, in order. An unroutable or hosted job is a queued or waiting one that fits
// no pool; a hosted one needs none, because GitHub's own runners take it.
const (
	JobWaiting    JobState = "waiting"
	JobQueued     JobState = "queued"
	JobUnroutable JobState = "unroutable"
	JobHosted     JobState = "hosted"
	JobRunning    JobState = "running"
	JobCompleted  JobState = "completed"
)

// rank returns the position of a state in the order; unroutable and hosted rank like queued.
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

// begun reports whether a job in state s needs no runner any longer.
func (s JobState) begun() bool { return s.rank() >= JobRunning.rank() }

// stateOf returns the state that a workflow_job payload reports.
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

// Conclusions that the ledger gives to a job about which GitHub reports nothing more. A later
// report from GitHub replaces them.
const (
	ConclusionAbandoned = "abandoned" // queued for longer than GitHub lets a job wait
	ConclusionLost      = "lost"      // GitHub does not know the job any longer
)

// A Job is one attempt of a workflow job.
type Job struct {
	Key      JobKey   `json:"job"`
	Scope    Scope    `json:"scope"`
	Pool     string   `json:"pool"` // "" if it fits none
	Labels   LabelSet `json:"labels"`
	Name     string   `json:"name"`
	Workflow string   `json:"workflow,omitempty"`
	URL      string   `json:"url,omitempty"` // its page on GitHub

	State      JobState   `json:"state"`
	Conclusion string     `json:"conclusion,omitempty"` // once completed: success, failure, cancelled …
	RunnerName RunnerName `json:"runner,omitempty"`     // the runner that GitHub says runs it; may be none of ours

	// Reported is whether the job waited or was queued when GitHub last reported one of the two,
	// whatever happened since. ReportedAt is GitHub's own time of that report: started_at, which
	// moves when the job is queued again.
	Reported   JobState  `json:"word,omitempty"`
	ReportedAt time.Time `json:"said,omitzero"`
	Overdue    time.Time `json:"overdue,omitzero"`   // since when GitHub is asked whether it still waits, past GitHub's own limit; zero otherwise
	Confirmed  time.Time `json:"confirmed,omitzero"` // when GitHub last answered that it still waits
	GaveUp     time.Time `json:"gave_up,omitzero"`   // when the ledger ended it without a report from GitHub; zero otherwise

	Created   time.Time `json:"created"`            // by GitHub's clock, like Started and Completed
	Queued    time.Time `json:"queued,omitzero"`    // when the report that it is queued arrived; zero while it waits
	Started   time.Time `json:"started,omitzero"`   // zero if it never ran
	Completed time.Time `json:"completed,omitzero"` // zero until it completed

	Runners     int       `json:"runners"`                // how many runners were made for it
	Failures    int       `json:"failures,omitempty"`     // of them, how many ended without running a job
	LastFailure string    `json:"last_failure,omitempty"` // why the last of those did
	Failed      *Failure  `json:"failed,omitempty"`       // what failed the last of those; nil for none, so that many jobs take little
	Ignored     int       `json:"ignored,omitempty"`      // of them, how many listened but were given no job by GitHub
	Refused     int       `json:"refused,omitempty"`      // of them, how many GitHub refused to register
	Unplaced    int       `json:"unplaced,omitempty"`     // of them, how many found no host with room
	NotBefore   time.Time `json:"not_before,omitzero"`    // make no further runner before this
	PutOff      time.Time `json:"put_off,omitzero"`       // GitHub, which limits calls, registers none of its installation's runners before this

	// Unauthorized means that GitHub refused the credential when its last runner was to be registered: when
	// the credential is accepted again, the next runner is made at once.
	Unauthorized bool      `json:"unauthorized,omitempty"`
	CheckAt      time.Time `json:"check_at,omitzero"` // when to ask GitHub about it if nothing is reported

	History []Step `json:"history"`
}

// A Failure is what failed the last runner that was made for a job and did not run it.
type Failure struct {
	Runner RunnerName `json:"runner"`
	why.Blame
}

// lastFailed returns the runner that failed j last; "" for none.
func (j Job) lastFailed() RunnerName {
	if j.Failed == nil {
		return ""
	}
	return j.Failed.Runner
}

// Settled reports whether the ledger is done with the job: it is completed, or no pool takes it.
func (j Job) Settled() bool { return j.State == JobCompleted || j.Pool == "" }

// upgrade sets the fields that earlier versions did not store.
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

// gaveUp reports whether the ledger ended j without a report from GitHub.
func (j Job) gaveUp() bool {
	return j.Conclusion == ConclusionAbandoned || j.Conclusion == ConclusionLost
}

// A verdict compares a report on a job with the earlier reports.
type verdict int

const (
	older    verdict = iota // it describes the past
	same                    // it describes the known state
	newer                   // it describes the job's present state
	doubtful                // nothing in it tells whether it is older or newer
)

// judge compares w, received at at, with what is known of j. Once either says that the job has
// begun, the later state is the newer one.
func (j *Job) judge(w event.WorkflowJob, reported JobState, at time.Time, asked bool) verdict {
	// A job that was given up is completed in our books only: compare with GitHub's last report.
	stands := j.State
	if !j.GaveUp.IsZero() {
		stands = j.Reported
	}
	if reported.begun() || stands.begun() {
		return compared(reported.rank() - stands.rank())
	}
	return j.judgeWait(w, reported, at, asked)
}

// judgeWait is judge for a report that the job waits or is queued; it compares with the last such
// report.
//
// GitHub's own time of the report decides. If the times are equal, queued wins over waiting,
// because a surplus runner does less harm than a job without one; a report of waiting with the same
// time is doubtful, since the job may have started waiting again. GitHub's answer to a question is
// never doubtful.
func (j *Job) judgeWait(w event.WorkflowJob, reported JobState, at time.Time, asked bool) verdict {
	said := reportedAt(w)
	switch {
	// The question was asked before the job was queued again: its answer is outdated.
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

// afterGivingUp reports whether a report received at at came after the ledger gave j up.
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

// reportedAt returns GitHub's time of a report that a job waits or is queued.
func reportedAt(w event.WorkflowJob) time.Time {
	if w.Started.After(w.Created) {
		return w.Started
	}
	return w.Created
}

// merge adds what w, sent at at, reports. The result does not depend on the order of a job's
// events, except for doubtful ones: the newer of two different values wins, and the earlier of two
// times of the same thing.
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
		j.Conclusion = "" // clears the conclusion of a job that was given up
	}
	j.State, j.GaveUp = reported, time.Time{}
}

// wait adds a report that j waits or is queued.
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

// adopt sets an unknown value, and a known one if the report is newer. A report without the value
// changes nothing.
func adopt[T comparable](to *T, value T, newer bool) {
	var unknown T
	if value != unknown && (newer || *to == unknown) {
		*to = value
	}
}

// earliest sets to to t if t is set and earlier. Times that only move back make duplicates and
// disorder harmless.
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

// remember returns history with one more step. It clones history, whose memory is shared with
// values returned earlier.
func remember(history []Step, at time.Time, what, note string) []Step {
	history = slices.Clone(history)
	if len(history) >= maxHistory {
		history = slices.Delete(history, keptFirst, keptFirst+1)
	}
	return append(history, Step{at, what, clean(note)})
}

// clean makes text from outside valid UTF-8 of bounded length.
func clean(note string) string {
	if len(note) > maxNote {
		note = note[:maxNote] + "…"
	}
	return strings.ToValidUTF8(note, "")
}
