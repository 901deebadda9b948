package ledger

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A RunnerState says how far a runner has come.
type RunnerState string

// The states of a runner, in their order. One that fails, is refused or is not
// needed any more goes from any of them to gone.
const (
	RunnerWanted   RunnerState = "wanted"   // decided; nothing of it exists
	RunnerStarting RunnerState = "starting" // a launcher has taken it up
	RunnerClaimed  RunnerState = "claimed"  // its claim was granted: it may be registered at GitHub
	RunnerIdle     RunnerState = "idle"     // listening for a job
	RunnerBusy     RunnerState = "busy"     // running a job
	RunnerGone     RunnerState = "gone"     // ended, for Reason
)

// A Runner is one ephemeral runner.
type Runner struct {
	Name    RunnerName  `json:"runner"`
	Pool    string      `json:"pool"`
	Labels  LabelSet    `json:"labels"`
	MadeFor JobKey      `json:"made_for"` // the job that it claims; GitHub may give it another
	Scope   Scope       `json:"scope"`
	State   RunnerState `json:"state"`

	Container string `json:"container,omitempty"` // the one that it is bound to; "" while none is, and where it is called as the runner is
	Image     string `json:"image,omitempty"`     // what its container is made from: a digest, or a name where nobody told more; "" while that is open, and where there are no images

	GitHubID  int64  `json:"github_id,omitempty"` // once registered
	Runs      JobKey `json:"runs,omitzero"`       // the job it runs or ran, by GitHub's word; zero until GitHub says so
	ExitCode  int    `json:"exit_code,omitempty"`
	Reason    string `json:"reason,omitempty"`     // why it is gone
	LastWords string `json:"last_words,omitempty"` // why it is about to end, by its agent's word; "" where that said nothing
	Leaving   string `json:"leaving,omitempty"`    // why it has to go; "" while it may stay
	Spare     bool   `json:"spare,omitempty"`      // it has to go because it is not needed: no fault of its own
	Late      bool   `json:"late,omitempty"`       // it has to go because a deadline passed
	Refused   bool   `json:"refused,omitempty"`    // GitHub refused to register it
	Outside   bool   `json:"outside,omitempty"`    // its end came from outside: no fault of its image

	Memory pool.MemoryUse `json:"memory,omitzero"`  // what its container had of it, by the end
	Output string         `json:"output,omitempty"` // its last lines, where no job of it ran well

	Made      time.Time `json:"made"`              // when it was wanted
	Since     time.Time `json:"since"`             // when it came into its state, or began to leave
	Started   time.Time `json:"started,omitzero"`  // when its container ran
	Claimed   time.Time `json:"claimed,omitzero"`  // when its claim was last granted
	Retry     time.Time `json:"retry,omitzero"`    // when that claim, put off since, may be made again; zero while it is not put off
	Listened  time.Time `json:"listened,omitzero"` // when it first listened for a job, or ran one without word that it did
	Done      time.Time `json:"done,omitzero"`     // when its job was seen completed
	Requested time.Time `json:"asked,omitzero"`    // when its start or removal was last asked for

	History []Step `json:"history"`
}

// Live reports whether something of the runner may exist or come to exist.
func (r Runner) Live() bool { return r.State != RunnerGone && r.State != "" }

// Outcome says how the start of r from its image came out: well when it listened for
// jobs, and not when it ended before through no decision of ours and nothing from
// outside, or did not get on though its container ran. Known is false while that is
// open, and where the end of r says nothing of its image.
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

// HoldsClaim reports whether r holds a live claim on the job it was made for:
// it has claimed, is not gone, and is not known to run another job.
func (r Runner) HoldsClaim() bool {
	return r.Live() && !r.Claimed.IsZero() && (r.Runs.IsZero() || r.Runs == r.MadeFor)
}

// unclaimed reports whether r has yet to claim.
func (r Runner) unclaimed() bool { return r.State == RunnerWanted || r.State == RunnerStarting }

// unregistered reports whether r has claimed and nothing came of it yet, as far as is known: its
// configuration is handed out only after its registration is on record, so that it may come back for it.
func (r Runner) unregistered() bool { return r.State == RunnerClaimed && r.GitHubID == 0 }

// ignoredFor is how long a runner listens until it is said that GitHub does not give it its job: jobs
// that a runner can take come within seconds.
const ignoredFor = time.Minute

// ignored reports whether r, which ends at now, listened in vain: GitHub had no job for it, or none that
// it may run, such as one of a runner group that it is not in.
func (r Runner) ignored(now time.Time) bool {
	return r.State == RunnerIdle && r.Runs.IsZero() && !r.Spare && now.Sub(r.Listened) >= ignoredFor
}

// supplies reports whether r is, or will be, there for a queued job. An
// unclaimed runner is only while the job it was made for is queued, because its
// claim would be refused. One that is busy with a job GitHub has not named yet counts:
// that job is still queued in our books.
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

// covers reports whether a further runner for the job that r was made for must wait.
// That is so while r may still run it, and, so that no job has two claims, while r
// leaves with its claim.
func (r Runner) covers() bool {
	return r.HoldsClaim() || r.Live() && r.unclaimed() && r.Leaving == ""
}

// repository is whose share r is counted on.
func (r Runner) repository() string {
	if !r.Runs.IsZero() {
		return r.Runs.Repository
	}
	return r.MadeFor.Repository
}
