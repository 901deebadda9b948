package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// live returns the runner called name. If it is not live, the input is ignored.
func (t *tx) live(name RunnerName) (Runner, bool) {
	r, ok := t.State.runners[name]
	switch {
	case !ok:
		t.ignore("runner %s is not in the ledger", name)
	case !r.Live():
		t.ignore("runner %s is gone: %s", name, r.Reason)
	}
	return r, ok && r.Live()
}

// transition moves r into a state.
func (t *tx) transition(r *Runner, state RunnerState, note string) {
	r.State, r.Since = state, t.now
	if state == RunnerIdle || state == RunnerBusy {
		r.Listened = cmp.Or(r.Listened, t.now) // a busy runner has listened, even if its report of that was lost
	}
	r.History = remember(r.History, t.now, string(state), note)
}

func (in Starting) apply(t *tx) {
	r, ok := t.live(in.Runner)
	switch {
	case !ok:
		return
	case r.Leaving != "":
		t.ignore("runner %s is leaving: %s", r.Name, r.Leaving)
		return
	case !r.unclaimed():
		t.ignore("runner %s is %s already", r.Name, r.State)
		return
	}
	old := r
	if in.Container != "" && !t.bind(&r, in.Container) {
		return
	}
	// From here on the launcher may start it: a repeated request is granted too, and changes
	// nothing.
	t.result.Granted = true
	r.Image = cmp.Or(in.Image, r.Image)
	if r.State == RunnerWanted {
		t.transition(&r, RunnerStarting, "")
	}
	if r.State != old.State || r.Container != old.Container || r.Image != old.Image {
		t.setRunner(r)
	}
}

// bind binds r to container unless it is bound already, and reports whether r is bound to it now. A
// runner that has claimed stays bound to the container that claimed.
func (t *tx) bind(r *Runner, container string) bool {
	if r.Container == "" && r.unclaimed() {
		r.Container = container
	}
	return t.boundTo(*r, container)
}

// boundTo reports whether r is bound to container, and ignores the input if not.
func (t *tx) boundTo(r Runner, container string) bool {
	if r.Container != container {
		t.ignore("runner %s is bound to container %s", r.Name, cmp.Or(r.Container, string(r.Name)))
	}
	return r.Container == container
}

// otherContainer reports whether a report about container does not concern r: it names a container
// other than r's, such as a duplicate that came too late.
func (t *tx) otherContainer(r Runner, container string) bool {
	return container != "" && r.Container != "" && !t.boundTo(r, container)
}

func (in Started) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok && !t.otherContainer(r, in.Container) && r.Started.IsZero() {
		r.Started, r.Image = t.now, cmp.Or(in.Image, r.Image)
		if r.unclaimed() {
			t.transition(&r, RunnerStarting, "its container runs")
		}
		t.setRunner(r)
	}
}

func (in Claim) apply(t *tx) {
	r, ok := t.live(in.Runner)
	if !ok || !t.bind(&r, in.Container) {
		return
	}
	if t.result.RetryAfter = t.lease(r); t.result.RetryAfter > 0 {
		t.ignore("runner %s is being registered: ask again in %s", r.Name, t.result.RetryAfter)
		return
	}
	if no := t.objection(r); no != "" {
		t.ignore("%s", no)
		// A first claim that is refused ends the runner. A repeated one does not: the first may
		// have registered it, and the refused container is a duplicate.
		if r.Claimed.IsZero() && r.Leaving == "" {
			r.Blame.Cause = why.ClaimRefused
			t.remove(r, "its claim was refused: "+no, false)
		}
		return
	}
	if until := t.putOffUntil(r.Scope.Installation); r.Claimed.IsZero() && t.now.Before(until) {
		t.waitForGitHub(r, until)
		return
	}
	t.result.Granted = true
	before, givenBack := r.Claimed, !r.Retry.IsZero()
	r.Claimed, r.Retry = t.now, time.Time{}
	// The time of a grant identifies it in a PutOff: grants must differ even if the clock was set
	// back.
	if givenBack && !r.Claimed.After(before) {
		r.Claimed = before.Add(time.Millisecond)
	}
	t.transition(&r, RunnerClaimed, "")
	t.setRunner(r)
	if r.Warm() {
		return
	}
	j := t.State.jobs[r.MadeFor]
	j.History = remember(j.History, t.now, "claimed", "by "+string(r.Name))
	t.setJob(j)
}

// lease returns how long the last claimant of r may still be registering it, or GitHub defers its
// registration.
func (t *tx) lease(r Runner) time.Duration {
	switch {
	case !r.unregistered() || r.Leaving != "":
		return 0
	case !r.Retry.IsZero():
		return min(max(0, -t.since(r.Retry)), maxPutOff)
	case r.Container == "": // one process serves its claims one by one, so the previous claimant has ended
		return 0
	}
	return min(max(0, t.limits.Lease-t.since(r.Claimed)), t.limits.Lease) // bounded, because the clock may have been set back
}

// maxPutOff bounds what a PutOff asks for: GitHub's rate limits reset within an hour.
const maxPutOff = time.Hour

func (in PutOff) apply(t *tx) {
	r, ok := t.live(in.Runner)
	switch {
	case !ok:
	case r.State != RunnerClaimed || r.GitHubID != 0 || !r.Claimed.Equal(in.Granted):
		t.ignore("runner %s has no open claim granted at %s", r.Name, in.Granted.UTC().Format(time.RFC3339Nano))
	case t.now.Before(r.Retry):
		t.ignore("the claim of runner %s was put off before", r.Name)
	default:
		after := min(max(time.Millisecond, in.After), maxPutOff)
		r.Retry = t.now.Add(after)
		t.putOff(r)
		t.postpone(&r, in.Blame, cmp.Or(clean(in.Reason), "put off"))
		t.setRunner(r)
	}
}

// objection returns why r may not claim; "" if it may.
func (t *tx) objection(r Runner) string {
	j, ok := t.State.jobs[r.MadeFor]
	switch {
	case !r.Claimed.IsZero() && !r.unregistered():
		return fmt.Sprintf("runner %s has claimed before", r.Name)
	case !ok && !r.Warm():
		return fmt.Sprintf("job %s is not in the ledger", r.MadeFor)
	case j.State != JobQueued && !r.Warm():
		return fmt.Sprintf("job %s is %s: %s", j.Key, j.State, j.note())
	case r.Leaving != "":
		return fmt.Sprintf("runner %s is leaving: %s", r.Name, r.Leaving)
	case !r.unclaimed() && !r.unregistered():
		return fmt.Sprintf("runner %s is %s", r.Name, r.State)
	}
	if r.Warm() {
		return ""
	}
	// One live claim per job: this is what makes a duplicated start cost a container, never a
	// second registration.
	for _, name := range t.runnersOf[r.MadeFor] {
		if name != r.Name && t.State.runners[name].HoldsClaim() {
			return fmt.Sprintf("job %s is claimed by runner %s", r.MadeFor, name)
		}
	}
	return ""
}

func (in Registered) apply(t *tx) {
	r, ok := t.State.runners[in.Runner]
	switch {
	case !ok:
		t.ignore("runner %s is not in the ledger", in.Runner)
	case r.GitHubID != in.GitHubID:
		r.GitHubID, r.Deferred, r.Blame = in.GitHubID, "", why.Blame{}
		r.History = remember(r.History, t.now, "registered", fmt.Sprintf("id %d", r.GitHubID))
		t.setRunner(r)
		t.takesCalls(r)
		// The removal was requested while GitHub registered the runner, and could not remove what
		// did not exist yet. Without a second request the registration would stay at GitHub.
		if !r.Live() || r.Leaving != "" {
			t.requestRemoval(r, "registered after its removal was requested")
		}
	}
}

func (in Idle) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok && r.State == RunnerClaimed {
		t.transition(&r, RunnerIdle, "")
		t.setRunner(r)
		if r.Warm() {
			delete(t.pauses, t.stationOf(t.groupOfRunner(r)))
		}
	}
}

func (in Busy) apply(t *tx) {
	r, ok := t.live(in.Runner)
	if !ok {
		return
	}
	if r.Claimed.IsZero() { // it never had a configuration to register with
		t.ignore("runner %s has not claimed", r.Name)
		return
	}
	if r.State != RunnerBusy {
		t.busy(&r)
		t.setRunner(r)
	}
}

// busy moves r into that state. A busy runner stays, whatever was decided before.
func (t *tx) busy(r *Runner) {
	note := ""
	if r.Leaving != "" {
		note = "busy, so it is not removed: " + r.Leaving
	}
	r.Leaving, r.Spare, r.Late = "", false, false
	t.transition(r, RunnerBusy, note)
}

func (in Restarting) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok {
		r.History = remember(r.History, t.now, "restarting", "to update itself, or after an error")
		t.setRunner(r)
	}
}

func (in Failed) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok && r.Leaving == "" && r.State != RunnerBusy {
		r.Refused, r.Unauthorized, r.Blame = in.Refused, in.Unauthorized, in.Blame
		t.remove(r, in.Reason, false)
	}
}

func (in Gone) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok && !t.otherContainer(r, in.Container) {
		r.ExitCode, r.Outside, r.Image = in.ExitCode, in.Outside, cmp.Or(in.Image, r.Image)
		r.Unplaced = in.Unplaced
		if r.Blame.Cause == "" { // what failed it before tells more than how it ended
			r.Blame = in.Blame
		}
		if in.Memory != (pool.MemoryUse{}) {
			r.Memory = in.Memory
		}
		t.end(r, cmp.Or(r.LastWords, in.Reason))
	}
}

func (in LastWords) apply(t *tx) {
	if r, ok := t.live(in.Runner); ok {
		r.LastWords, r.Memory, r.Output = clean(in.Reason), in.Memory, in.Output
		t.setRunner(r)
	}
}

func (in Found) apply(t *tx) {
	found := map[RunnerName]bool{}
	for _, name := range in.Runners {
		found[name] = true
		switch r, ok := t.State.runners[name]; {
		case !ok || !r.Live():
			t.emit(RemoveRunner{Runner: name, Force: true, Reason: "no runner belongs to this container", Scope: r.Scope})
		case r.Started.IsZero():
			Started{Runner: name}.apply(t)
		}
	}
	for _, r := range t.inOrder(func(r Runner) bool { return r.Live() && !found[r.Name] }) {
		// A runner whose start was only requested is still to be started, or its start is requested
		// again. One that ran or claimed had a container, and that is lost.
		if !r.Started.IsZero() || !r.unclaimed() {
			r.Outside = true
			t.end(r, "its container was not found after a restart")
		}
	}
}

// inOrder returns the matching runners by name, so that whatever is done to several of them is done
// in the same order every time.
func (t *tx) inOrder(match func(Runner) bool) (list []Runner) {
	for r := range t.Runners() {
		if match(r) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Runner) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// remove decides that r has to go. A runner that does not exist yet is gone at once.
func (t *tx) remove(r Runner, why string, spare bool) {
	r.Leaving, r.Spare = clean(why), spare
	if r.State == RunnerWanted {
		t.end(r, "") // a launcher that takes it up now is refused by Starting
		return
	}
	r.Since, r.Requested = t.now, t.now
	r.History = remember(r.History, t.now, "leaving", why)
	t.setRunner(r)
	t.requestRemoval(r, r.Leaving)
}

// requestRemoval emits the request to remove r. Registered depends on the claim, not on GitHubID:
// GitHub may have registered r although its answer was lost, and then only a lookup by name finds
// it.
func (t *tx) requestRemoval(r Runner, why string) {
	t.emit(RemoveRunner{
		Runner: r.Name, Pool: r.Pool, Container: r.Container, GitHubID: r.GitHubID, Registered: !r.Claimed.IsZero(),
		Force: r.State == RunnerBusy, Reason: why, Scope: r.Scope,
	})
}

// end ends r and decides what follows for its job.
func (t *tx) end(r Runner, why string) {
	// A runner that was busy, or ended cleanly after its claim without anybody's decision, probably
	// ran a job whose report is still on its way. Counting that as a failure would start a second
	// runner.
	ran := !r.Runs.IsZero()
	mayHaveRun := !ran && (r.State == RunnerBusy || !r.Claimed.IsZero() && r.ExitCode == 0 && why == "" && r.Leaving == "")
	ignored := r.ignored(t.now)
	r.Reason = reason(r, why)
	t.transition(&r, RunnerGone, r.Reason)
	t.setRunner(r)
	if !ran && !r.Claimed.IsZero() && r.Leaving == "" {
		t.requestRemoval(r, "its registration may remain") // GitHub removes it only after a job
	}
	j, ok := t.State.jobs[r.MadeFor]
	switch {
	case ran:
		t.scheduleCheck(r.Runs)
	case r.Warm():
		t.pauseWarm(r)
	case !ok || j.State != JobQueued || r.Spare:
	case ignored:
		t.ignored(j, r)
	case mayHaveRun:
		t.awaitOutcome(j, r)
	default:
		t.fail(j, r)
	}
}

// reason combines the known reasons why r is gone.
func reason(r Runner, why string) string {
	switch {
	case r.Leaving == "":
	case why == "", strings.HasSuffix(why, r.Leaving): // the runner repeats what it was told
		why = r.Leaving
	default:
		why = r.Leaving + "; " + why
	}
	switch {
	case r.ExitCode != 0 && why != "":
		why = fmt.Sprintf("%s (exit code %d)", why, r.ExitCode)
	case r.ExitCode != 0:
		why = fmt.Sprintf("exit code %d", r.ExitCode)
	case why == "" && !r.Runs.IsZero():
		why = "job done"
	case why == "":
		why = "its program ended"
	}
	if note := r.Memory.Told(); note != "" {
		why = note + "; " + why // first, because clean cuts long text
	}
	return clean(why)
}

// fail counts a runner that ended without running a job against the job it was made for. Each
// failure makes the job wait longer for the next runner, so that a persistent fault does not spin.
func (t *tx) fail(j Job, r Runner) {
	j.Failures++
	j.LastFailure, j.Failed = r.Reason, &Failure{r.Name, t.blame(r)}
	if r.Deferred != "" {
		j.LastFailure = clean(r.Reason + "; " + r.Deferred)
	}
	j.NotBefore = t.now.Add(backoff(j.Failures))
	if r.Refused {
		j.Refused++
		j.NotBefore = t.now.Add(longBackoff(j.Refused))
	}
	if t.unplaced(r) {
		j.Unplaced++
		j.NotBefore = t.now.Add(longBackoff(j.Unplaced))
	}
	j.Unauthorized = r.Unauthorized
	j.History = remember(j.History, t.now, "runner failed", string(r.Name)+": "+r.Reason)
	t.setJob(j)
}

// blame returns what failed r, which ended without running a job.
func (t *tx) blame(r Runner) why.Blame {
	switch {
	case r.Memory.Kills > 0:
		return why.Blame{Cause: why.OutOfMemory}
	case r.Blame.Cause != "":
		return r.Blame
	case t.unplaced(r):
		return why.Blame{Cause: why.HostsFull}
	case r.Late:
		return why.Blame{Cause: why.Late}
	case r.Outside || r.Leaving != "":
		return why.Blame{Cause: why.Killed}
	}
	return why.Blame{Cause: why.Crashed}
}

// ignored is fail for a runner that GitHub gave no job. Most likely the job waits, or belongs to a
// runner group that the runner is not in: ask GitHub, and make further runners at growing
// intervals.
func (t *tx) ignored(j Job, r Runner) {
	j.Ignored++
	j.CheckAt = t.now
	r.Blame.Cause = why.NotChosen
	t.fail(j, r)
	j = t.State.jobs[j.Key]
	j.NotBefore = t.now.Add(longBackoff(j.Ignored))
	t.setJob(j)
}

// awaitOutcome makes a job wait for news: its runner was busy, most likely with it, and ended
// before GitHub's report arrived.
func (t *tx) awaitOutcome(j Job, r Runner) {
	j.NotBefore = t.now.Add(t.limits.Settle)
	j.CheckAt = t.now
	j.History = remember(j.History, t.now, "runner ended", string(r.Name)+" may have run it: asking GitHub")
	t.setJob(j)
}

// since returns how long ago at was.
func (t *tx) since(at time.Time) time.Duration { return t.now.Sub(at) }
