package ledger

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A RunnerState is how far a runner has come.
type RunnerState string

// The states of a runner, in order. A runner that fails, is refused or is not needed goes from any
// of them to gone.
const (
	RunnerWanted   RunnerState = "wanted"   // requested; nothing exists yet
	RunnerStarting RunnerState = "starting" // a launcher has accepted it
	RunnerClaimed  RunnerState = "claimed"  // its claim was granted: it may be registered at GitHub
	RunnerIdle     RunnerState = "idle"     // listening for a job
	RunnerBusy     RunnerState = "busy"     // running a job
	RunnerGone     RunnerState = "gone"     // ended; Reason says why
)

// A Runner is one ephemeral runner.
type Runner struct {
	Name    RunnerName  `json:"runner"`
	Pool    string      `json:"pool"`
	Labels  LabelSet    `json:"labels"`
	MadeFor JobKey      `json:"made_for"` // the job it claims; GitHub may give it another. Zero for a warm runner
	Scope   Scope       `json:"scope"`
	State   RunnerState `json:"state"`

	Container string `json:"container,omitempty"` // the container it is bound to; "" if none is, and if containers have the name of their runner
	Image     string `json:"image,omitempty"`     // what its container is created from: a digest, or a name if the launcher knows no digest; "" if unknown or if there are no images

	GitHubID     int64  `json:"github_id,omitempty"` // once registered
	Runs         JobKey `json:"runs,omitzero"`       // the job it runs or ran, as GitHub reported; zero until then
	ExitCode     int    `json:"exit_code,omitempty"`
	Reason       string `json:"reason,omitempty"`       // why it is gone
	LastWords    string `json:"last_words,omitempty"`   // why it is about to end, as its agent reported; "" if it did not
	Leaving      string `json:"leaving,omitempty"`      // why it has to go; "" if it may stay
	Spare        bool   `json:"spare,omitempty"`        // it has to go because it is surplus, not because it failed
	Outdated     bool   `json:"outdated,omitempty"`     // a warm runner from an image that is not current any longer
	Late         bool   `json:"late,omitempty"`         // it has to go because it missed a deadline
	Refused      bool   `json:"refused,omitempty"`      // GitHub refused to register it
	Unplaced     bool   `json:"unplaced,omitempty"`     // no host had room for it
	Unauthorized bool   `json:"unauthorized,omitempty"` // GitHub refused to register it because of the credential
	Outside      bool   `json:"outside,omitempty"`      // its end had an external cause that says nothing about its image

	Blame    why.Blame `json:"blame,omitzero"`     // why it failed or waits to be registered, where that is known
	Deferred string    `json:"deferred,omitempty"` // why its registration waits; "" once it is registered

	Memory pool.MemoryUse `json:"memory,omitzero"`  // its container's use of memory, known at the end
	Output string         `json:"output,omitempty"` // its last lines of output, if no job succeeded on it

	Made      time.Time `json:"made"`              // when it was requested
	Since     time.Time `json:"since"`             // when it entered its state, or began to leave
	Started   time.Time `json:"started,omitzero"`  // when its container ran
	Claimed   time.Time `json:"claimed,omitzero"`  // when its claim was last granted
	Retry     time.Time `json:"retry,omitzero"`    // when a claim that was put off may be repeated; zero if it was not put off
	Listened  time.Time `json:"listened,omitzero"` // when it first listened for a job, or ran one without reporting that it listened
	Done      time.Time `json:"done,omitzero"`     // when its job was reported completed
	Requested time.Time `json:"asked,omitzero"`    // when its start or removal was last requested

	History []Step `json:"history"`
}

// Live reports whether anything of the runner exists or may come to exist.
func (r Runner) Live() bool { return r.State != RunnerGone && r.State != "" }

// Warm reports whether r was made before there was a job for it.
func (r Runner) Warm() bool { return r.MadeFor.IsZero() }

// Outcome reports whether the start of r from its image succeeded: well if it listened for jobs;
// not if it ended earlier, neither by our decision nor by an external cause, or if its container
// ran but missed a deadline. Known is false while that is open, and if the end of r says nothing
// about its image.
func (r Runner) Outcome() (well, known bool) {
	switch {
	case r.Image == "":
		return false, false
	case !r.Listened.IsZero():
		return true, true
	case r.State != RunnerGone || r.Outside:
		return false, false
	}
	return false, r.Leaving == "" || r.Late && !r.Started.IsZero()
}

// HoldsClaim reports whether r has a live claim on the job it was made for: it has claimed, is not
// gone, and is not known to run another job.
func (r Runner) HoldsClaim() bool {
	return r.Live() && !r.Claimed.IsZero() && (r.Runs.IsZero() || r.Runs == r.MadeFor)
}

// unclaimed reports whether r has not claimed yet.
func (r Runner) unclaimed() bool { return r.State == RunnerWanted || r.State == RunnerStarting }

// unregistered reports whether r has claimed and no registration is recorded. Its configuration is
// handed out only after the registration is recorded, so the runner cannot have it and may claim
// again.
func (r Runner) unregistered() bool { return r.State == RunnerClaimed && r.GitHubID == 0 }

// ignoredFor is how long a runner listens without a job until GitHub counts as ignoring it. A job
// that a runner can take arrives within seconds.
const ignoredFor = time.Minute

// ignored reports whether r, which ends at now, listened in vain: GitHub had no job that it may
// run, for example because the job belongs to a runner group that r is not in.
func (r Runner) ignored(now time.Time) bool {
	return r.State == RunnerIdle && r.Runs.IsZero() && !r.Spare && now.Sub(r.Listened) >= ignoredFor
}

// supplies reports whether r serves, or will serve, a queued job. An unclaimed runner does so only
// while its own job is queued, because its claim would be refused otherwise. A busy runner whose
// job GitHub has not named yet counts: that job is still queued in our books.
func (r Runner) supplies(queued bool) bool {
	switch {
	case !r.Live() || r.Leaving != "":
		return false
	case r.unclaimed():
		return queued
	default:
		return r.Runs.IsZero()
	}
}

// covers reports whether the job that r was made for must not get another runner yet: r may still
// run it, or r leaves while its claim is live and a second runner would make two claims for one
// job.
func (r Runner) covers() bool {
	return r.HoldsClaim() || r.Live() && r.unclaimed() && r.Leaving == ""
}

// repository returns the repository on whose fair share r counts.
func (r Runner) repository() string {
	if !r.Runs.IsZero() {
		return r.Runs.Repository
	}
	return r.MadeFor.Repository
}
