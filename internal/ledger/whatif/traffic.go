// Package whatif runs archived traffic through the real scheduler, [ledger.State], on a virtual
// clock: how long would these jobs have waited with other pools?
//
// [Traffic] turns archived workflow_job events into [Work]: when each job arrived and how long it
// ran. [Run] plays that work against any limits, with a GitHub that gives the oldest job to a
// listening runner, and a launcher that takes as long as it did. Nothing here does I/O or reads a
// clock: the same work and limits always give the same [Report].
//
// It is kinder than reality: no event is lost, no start fails, and removing a runner takes no time.
// So compare two reports with each other, not one with what really happened.
package whatif

import (
	"cmp"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Work is one job of the archive.
type Work struct {
	Key     ledger.JobKey
	Scope   ledger.Scope
	Labels  ledger.LabelSet
	Created time.Time // by GitHub's clock: the scheduler's order
	Arrived time.Time // when it was queued

	Runs    time.Duration // from in_progress to completed
	Assumed bool          // Runs is an assumption
	Leaves  time.Duration // it was cancelled this long after its arrival, before it ran; 0 for never
}

// Traffic collects what events report about jobs, in any order and any number of times. Its zero
// value is empty. Its memory grows with the number of jobs, not of events.
type Traffic struct {
	jobs map[ledger.JobKey]*sighting
}

// A sighting is what is known about a job so far.
type sighting struct {
	scope      ledger.Scope
	labels     ledger.LabelSet
	conclusion string

	created, queued, started, completed time.Time // started only if a runner had it
}

// Add adds what job, an event at at, reports.
func (t *Traffic) Add(job event.WorkflowJob, at time.Time) {
	if t.jobs == nil {
		t.jobs = map[ledger.JobKey]*sighting{}
	}
	key := ledger.KeyOf(job)
	s := t.jobs[key]
	if s == nil {
		s = &sighting{}
		t.jobs[key] = s
	}
	s.scope = ledger.Scope{
		Repository:   cmp.Or(s.scope.Repository, job.Repository),
		Organization: cmp.Or(s.scope.Organization, job.Organization),
		Enterprise:   cmp.Or(s.scope.Enterprise, job.Enterprise),
		Installation: cmp.Or(s.scope.Installation, job.Installation),
	}
	s.labels = cmp.Or(s.labels, ledger.NewLabelSet(job.Labels))
	earliest(&s.created, job.Created)
	switch job.State() {
	case event.ActionQueued:
		earliest(&s.queued, at)
	case event.ActionInProgress:
		earliest(&s.started, either(job.Started, at))
	case event.ActionCompleted:
		s.conclusion = cmp.Or(s.conclusion, job.Conclusion)
		earliest(&s.completed, either(job.Completed, at))
		if job.RunnerName != "" { // without a runner, started_at is when the job was created
			earliest(&s.started, job.Started)
		}
	}
}

func earliest(to *time.Time, t time.Time) {
	if !t.IsZero() && (to.IsZero() || t.Before(*to)) {
		*to = t
	}
}

func either(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

// githubsPatience is how long GitHub keeps a job queued before it fails it.
// https://docs.github.com/en/actions/reference/limits
const githubsPatience = 24 * time.Hour

// DefaultRuns is the assumed duration of a job if the archive has none that ended.
const DefaultRuns = time.Minute

// Work returns the jobs by arrival.
//
// A job without a queued event arrived when GitHub created it; one that was never queued, or was
// skipped, is no work. A job that was cancelled while it waited leaves after the same time. If no
// start or no end is known (it still runs, its event was lost, or no runner ever took it), its
// duration is the median of the jobs with its labels, or else of all.
func (t *Traffic) Work() []Work {
	var list []Work
	for key, s := range t.jobs {
		if w, ok := s.work(key); ok {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b Work) int {
		return cmp.Or(a.Arrived.Compare(b.Arrived), cmp.Compare(a.Key.ID, b.Key.ID),
			cmp.Compare(a.Key.Attempt, b.Key.Attempt), cmp.Compare(a.Key.Repository, b.Key.Repository))
	})
	assume(list)
	return list
}

// work returns the work that s amounts to, and whether it needed a runner.
func (s *sighting) work(key ledger.JobKey) (Work, bool) {
	w := Work{Key: key, Scope: s.scope, Labels: s.labels, Created: s.created, Arrived: s.queued}
	if s.queued.IsZero() && !s.started.IsZero() {
		w.Arrived = either(s.created, s.started)
	}
	if w.Arrived.IsZero() || s.conclusion == "skipped" {
		return w, false
	}
	w.Created = either(w.Created, w.Arrived)
	waited := s.completed.Sub(w.Arrived)
	switch {
	case s.started.IsZero() && s.conclusion == "cancelled" && waited < githubsPatience:
		w.Leaves = max(waited, time.Millisecond)
	case s.started.IsZero() || s.completed.IsZero():
		w.Assumed = true
	default:
		w.Runs = max(0, s.completed.Sub(s.started))
	}
	return w, true
}

// assume sets the duration of jobs without one.
func assume(list []Work) {
	var all []time.Duration
	like := map[ledger.LabelSet][]time.Duration{}
	for _, w := range list {
		if !w.Assumed && w.Leaves == 0 {
			all, like[w.Labels] = append(all, w.Runs), append(like[w.Labels], w.Runs)
		}
	}
	usual, usualOf := DefaultRuns, map[ledger.LabelSet]time.Duration{}
	if len(all) > 0 {
		usual = median(all)
	}
	for labels, times := range like {
		usualOf[labels] = median(times)
	}
	for i, w := range list {
		if !w.Assumed {
			continue
		}
		list[i].Runs = usual
		if runs, ok := usualOf[w.Labels]; ok {
			list[i].Runs = runs
		}
	}
}
