package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/why"
)

// GitHub's rate limits are those of an installation, and last for up to an hour. When a claim is put off because of
// one, the job keeps until when: no runner of the installation is made before, because its container would only
// wait, and a claim of another is answered without asking GitHub.

// putOff has the job of r, and so its installation, wait until r's claim may be repeated.
func (t *tx) putOff(r Runner) {
	if j, ok := t.State.jobs[r.MadeFor]; ok && j.State == JobQueued {
		j.PutOff = r.Retry
		t.setJob(j)
	}
}

// putOffUntil returns until when GitHub registers no runners of an installation; zero if it does.
func (s *State) putOffUntil(installation int64) (until time.Time) {
	for key, at := range s.putOff {
		if s.jobs[key].Scope.Installation == installation && at.After(until) {
			until = at
		}
	}
	return until
}

// waitForGitHub has r, which has not claimed, claim again at a time.
func (t *tx) waitForGitHub(r Runner, until time.Time) {
	t.result.RetryAfter = min(until.Sub(t.now), maxPutOff)
	t.ignore("GitHub limits calls: ask again in %s", t.result.RetryAfter)
	if !r.Retry.Equal(until) {
		r.Retry = until
		t.postpone(&r, why.Blame{Cause: why.RateLimited}, "GitHub limits calls")
		t.setRunner(r)
	}
}

// postpone notes why the registration of r waits until r.Retry. Its history has each reason once.
func (t *tx) postpone(r *Runner, b why.Blame, reason string) {
	if r.Deferred != reason {
		r.History = remember(r.History, t.now, "put off", fmt.Sprintf("for %s: %s", r.Retry.Sub(t.now).Round(time.Millisecond), reason))
	}
	r.Deferred, r.Blame = reason, b
}

// takesCalls notes that GitHub has registered r: the limit that its job waited for is over.
func (t *tx) takesCalls(r Runner) {
	if j, ok := t.State.jobs[r.MadeFor]; ok && !j.PutOff.IsZero() {
		j.PutOff = time.Time{}
		t.setJob(j)
	}
}

// unplaced reports whether r ended because no host had room for it. Where hosts start as runners need them, one
// whose container never ran has waited for a host.
func (t *tx) unplaced(r Runner) bool {
	return r.Unplaced || len(t.limits.Hosts) > 0 && r.Late && r.Started.IsZero() && r.Claimed.IsZero()
}

func (in Authorized) apply(t *tx) {
	for _, key := range slices.SortedFunc(maps.Keys(t.unauthorized), JobKey.compare) {
		if t.full() {
			return
		}
		j := t.State.jobs[key]
		j.Unauthorized, j.Refused, j.NotBefore = false, 0, time.Time{}
		j.History = remember(j.History, t.now, "credential works", "")
		t.setJob(j)
	}
}
