package ledger

import (
	"cmp"
	"fmt"
	"reflect"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

func (in JobSeen) apply(t *turn) {
	told, ok := stateOf(in.Job.Action)
	if !ok {
		t.ignore("unknown action %q of job %s: want queued, waiting, in_progress or completed", in.Job.Action, KeyOf(in.Job))
		return
	}
	at := in.At.UTC().Truncate(time.Millisecond)
	if in.At.IsZero() {
		at = t.now
	}
	old, j := t.told(in.Job, told, at)
	if reflect.DeepEqual(old, j) {
		t.ignore("nothing new: job %s is %s", j.Key, j.State)
		return
	}
	t.setJob(j)
	t.assign(old.RunnerName, j)
	t.watch(j.Key)
}

// told returns the job before and after GitHub's word w.
func (t *turn) told(w event.WorkflowJob, told JobState, at time.Time) (old, j Job) {
	key := KeyOf(w)
	old = t.State.jobs[key]
	j = old
	j.Key = key
	j.merge(w, told, at)
	t.route(&j, w.Routing.Pool)
	if j.State == JobQueued && t.now.Sub(j.Queued) >= t.limits.Queue {
		j.abandon()
	}
	if j.State != old.State || j.RunnerName != old.RunnerName || j.Conclusion != old.Conclusion {
		j.History = remember(j.History, t.now, string(j.State), j.note())
	}
	return old, j
}

// route finds the pool of a job that has none: the one it was routed to, if
// that is still there, or else the first that takes it.
func (t *turn) route(j *Job, routed string) {
	if j.Pool == "" {
		if p, ok := t.limits.Pools.Find(routed); ok {
			j.Pool = p.Name
		} else if p, ok := t.limits.Pools.Route(event.WorkflowJob{Repository: j.Scope.Repository, Labels: j.Labels.Labels()}); ok {
			j.Pool = p.Name
		}
	}
	switch {
	case j.Pool == "" && j.State.rank() <= JobQueued.rank():
		j.State = JobUnroutable
	case j.Pool != "" && j.State == JobUnroutable && j.Queued.IsZero():
		j.State = JobWaiting
	case j.Pool != "" && j.State == JobUnroutable:
		j.State = JobQueued
	}
}

// abandon ends a job as GitHub does that has been queued for too long.
func (j *Job) abandon() { j.State, j.Conclusion = JobCompleted, ConclusionAbandoned }

// note says of a job's state what the state alone does not.
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

// assign takes GitHub's word for who runs job j, whatever was assumed.
func (t *turn) assign(before RunnerName, j Job) {
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

// watch sets when GitHub is to be asked about a job, unless it is set already:
// soon when its runner is gone, and not at all while our own runner runs it.
func (t *turn) watch(key JobKey) {
	j, ok := t.State.jobs[key]
	if !ok {
		return
	}
	at := j.CheckAt
	r, ours := t.State.runners[j.RunnerName]
	switch {
	case j.Settled() || j.State == JobWaiting || j.State == JobRunning && ours && r.Live():
		at = time.Time{}
	case j.State == JobRunning && ours:
		earliest(&at, t.now.Add(t.limits.Settle))
	case at.IsZero():
		at = t.now.Add(t.limits.Stale)
	}
	if !at.Equal(j.CheckAt) {
		j.CheckAt = at
		t.setJob(j)
	}
}

func (in JobLost) apply(t *turn) {
	j, ok := t.State.jobs[in.Job]
	if !ok || j.State == JobCompleted {
		t.ignore("job %s is not open", in.Job)
		return
	}
	j.State, j.Conclusion = JobCompleted, ConclusionLost
	j.History = remember(j.History, t.now, string(j.State), in.Reason)
	t.setJob(j)
	t.watch(j.Key)
}
