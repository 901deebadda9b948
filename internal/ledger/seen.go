package ledger

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func (in JobSeen) apply(t *tx) {
	reported, ok := stateOf(in.Job)
	if !ok {
		t.ignore("unknown action %q of job %s: want queued, waiting, in_progress or completed", in.Job.Action, KeyOf(in.Job))
		return
	}
	if in.At = in.At.UTC().Truncate(time.Millisecond); in.At.IsZero() {
		in.At = t.now
	}
	old, j, doubt := t.mergeReport(in, reported)
	if doubt {
		t.doubt(j.Key, reported)
		return
	}
	if reflect.DeepEqual(old, j) {
		t.ignore("nothing new: job %s is %s", j.Key, j.State)
		return
	}
	t.setJob(j)
	t.renameRunners(old, j)
	t.assign(old.RunnerName, j)
	t.scheduleCheck(j.Key)
}

// renamed reports whether j's repository has another name than before.
func (j Job) renamed(before Job) bool {
	was := before.Scope.Repository
	return was != "" && !strings.EqualFold(was, j.Scope.Repository)
}

// renameRunners gives the new name of j's repository to the runners made for j: a registration
// moves with its repository, and what is not registered yet has to register under the new name.
func (t *tx) renameRunners(before, j Job) {
	if !j.renamed(before) {
		return
	}
	for _, name := range t.runnersOf[j.Key] {
		if r := t.State.runners[name]; r.Live() && (r.unclaimed() || t.limits.Level == LevelRepository) {
			r.Scope = j.Scope
			t.setRunner(r)
		}
	}
}

// mergeReport returns the job before and after GitHub's report. A doubtful report changes nothing.
func (t *tx) mergeReport(in JobSeen, reported JobState) (old, j Job, doubt bool) {
	key := t.keyOf(KeyOf(in.Job))
	old = t.State.jobs[key]
	j = old
	j.Key = key
	j.upgrade()
	v := j.judge(in.Job, reported, in.At, in.Asked)
	if v == doubtful {
		return old, old, true
	}
	before := j.Reported
	j.merge(in.Job, reported, in.At, in.Asked, v)
	t.route(&j, in.Job.Routing.Pool)
	if v == newer && !reported.begun() && before != "" {
		j.resetFailures()
	}
	switch {
	case j.State.begun():
	case in.Asked:
		j.Confirmed, j.Overdue = t.now, time.Time{}
	case old.State != JobQueued && t.expired(j): // ask GitHub about it before it gets a runner
		j.NotBefore = t.now.Add(t.limits.Settle)
	}
	if j.renamed(old) {
		j.History = remember(j.History, t.now, "renamed", fmt.Sprintf("repository %s is now %s", old.Scope.Repository, j.Scope.Repository))
	}
	if j.State != old.State || j.RunnerName != old.RunnerName || j.Conclusion != old.Conclusion {
		j.History = remember(j.History, t.now, string(j.State), j.note())
	}
	return old, j, false
}

// resetFailures clears what earlier runners left on a job that waits or is queued again, so that
// its next runner is made like a first one.
func (j *Job) resetFailures() {
	j.NotBefore, j.Ignored, j.Refused, j.Unplaced, j.Unauthorized, j.Failed = time.Time{}, 0, 0, 0, false, nil
}

// doubt asks GitHub for the state of the job of key, because a report may be older or newer than
// what is known. While a question is open it asks no second one.
func (t *tx) doubt(key JobKey, reported JobState) {
	j := t.State.jobs[key]
	at := t.now.Add(t.limits.Settle)
	if j.State.begun() || !j.CheckAt.IsZero() && !at.Before(j.CheckAt) && t.now.Before(j.CheckAt) {
		t.ignore("job %s is %s: asking GitHub whether it is %s again", key, j.State, reported)
		return
	}
	t.emit(CheckJob{Job: key, Scope: j.Scope, Reason: fmt.Sprintf("%s, but reported as %s", j.State, reported)})
	j.CheckAt = at // asks again if no answer comes
	j.History = remember(j.History, t.now, "in doubt", fmt.Sprintf("reported as %s: asking GitHub", reported))
	t.setJob(j)
}

// route finds the pool of a job that has none: the one that the webhook routed it to, if it still
// exists, or else the first that takes it. A job keeps its pool, whatever the configuration says
// later, until that pool is gone.
func (t *tx) route(j *Job, routed string) {
	if j.Pool == "" {
		if p, ok := t.limits.Pools.Find(routed); ok {
			j.Pool = p.Name
		} else if p, ok := t.limits.Pools.Route(j.routingInput()); ok {
			j.Pool = p.Name
		}
	}
	switch {
	case j.State.begun():
	case j.Pool == "" && !t.limits.Forge.NoHosted && pool.Hosted(j.Labels.Labels()):
		j.State = JobHosted
	case j.Pool == "":
		j.State = JobUnroutable
	default:
		j.State = j.Reported
	}
}

// routingInput returns the parts of j that routing depends on.
func (j Job) routingInput() event.WorkflowJob {
	return event.WorkflowJob{Repository: j.Scope.Repository, Organization: j.Scope.Organization, Labels: j.Labels.Labels()}
}

// giveUp ends a job about which GitHub reports nothing more. Later reports from GitHub still count.
func (j *Job) giveUp(conclusion string, now time.Time) {
	j.State, j.Conclusion, j.GaveUp = JobCompleted, conclusion, now
}

// note returns details that the state alone does not tell.
func (j Job) note() string {
	switch {
	case j.State == JobCompleted && j.RunnerName != "":
		return fmt.Sprintf("%s on %s", cmp.Or(j.Conclusion, "no conclusion"), j.RunnerName)
	case j.State == JobCompleted:
		return j.Conclusion
	case j.State == JobRunning:
		return "on " + string(cmp.Or(j.RunnerName, "a runner without a name"))
	case j.State == JobQueued || j.State == JobWaiting:
		return "pool " + j.Pool
	}
	return ""
}

// assign records which runner runs job j. GitHub's report overrides every assumption.
func (t *tx) assign(before RunnerName, j Job) {
	if j.State.rank() < JobRunning.rank() {
		return
	}
	if was := t.State.runners[before]; before != j.RunnerName && was.Runs == j.Key {
		was.Runs = JobKey{}
		t.setRunner(was)
	}
	r, ours := t.State.runners[j.RunnerName]
	if !ours {
		return
	}
	old := r
	if r.Runs.IsZero() {
		r.Runs, r.Listened = j.Key, cmp.Or(r.Listened, t.now)
	}
	if r.Live() && r.State != RunnerBusy {
		t.busy(&r)
	}
	if j.State == JobCompleted && r.Runs == j.Key && r.Done.IsZero() {
		r.Done = t.now
	}
	if !reflect.DeepEqual(old, r) {
		t.setRunner(r)
	}
}

// scheduleCheck sets when to ask GitHub about a job, unless that is set already: soon if its runner
// is gone, and never while one of our own runners runs it.
func (t *tx) scheduleCheck(key JobKey) {
	j, ok := t.State.jobs[key]
	if !ok {
		return
	}
	at := j.CheckAt
	r, ours := t.State.runners[j.RunnerName]
	switch {
	case j.Settled() || j.State == JobRunning && ours && r.Live():
		at = time.Time{}
	case j.State == JobRunning && ours:
		earliest(&at, t.now.Add(t.limits.Settle))
	case at.IsZero():
		at = t.now.Add(t.maxSilence(j))
	}
	if !at.Equal(j.CheckAt) {
		j.CheckAt = at
		t.setJob(j)
	}
}

// maxSilence returns how long j may go without a report before GitHub is asked. A job that waits
// for an approval may do so for days.
func (t *tx) maxSilence(j Job) time.Duration {
	if j.State == JobWaiting {
		return 12 * t.limits.Stale
	}
	return t.limits.Stale
}

func (in JobLost) apply(t *tx) {
	j, ok := t.State.jobs[in.Job]
	if !ok || j.State == JobCompleted {
		t.ignore("job %s is not open", in.Job)
		return
	}
	j.upgrade()
	j.giveUp(ConclusionLost, t.now)
	j.History = remember(j.History, t.now, string(j.State), in.Reason)
	t.setJob(j)
	t.scheduleCheck(j.Key)
}
