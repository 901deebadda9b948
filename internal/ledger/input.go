package ledger

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// An Input is one thing that happened. Any input may arrive late, twice or out of order.
type Input interface {
	about() (JobKey, RunnerName) // the job and runner it names; zero if none
	apply(*tx)
}

// JobSeen is GitHub's report on a job: an event, or the answer to a [CheckJob]. An unknown action
// is ignored.
type JobSeen struct {
	Job event.WorkflowJob
	At  time.Time // when GitHub reported it; the ledger's own time if zero

	// Asked marks GitHub's answer to a question asked at At. It is the job's state at that time
	// whatever its timestamps say, while deliveries may be late, duplicated and out of order.
	Asked bool
}

// JobLost reports that GitHub does not know the job, or does so no longer.
type JobLost struct {
	Job    JobKey
	Reason string
}

// Starting reports that a launcher is about to start a runner, and asks for permission. It is
// refused if the runner is gone or has claimed, so that carrying out a [WantRunner] twice is
// harmless. With a Container it binds the runner to it: granted again to the same container, and to
// no other. Without one it only records that the runner is on its way, for launchers that cannot
// tell which of several containers will be first.
type Starting struct {
	Runner    RunnerName
	Container string // the launcher's id of it; "" if containers have the name of their runner
	Image     string // what the container will be created from; "" if unknown yet
}

// Started reports that a runner's container runs. It is ignored for a container that the runner is
// not bound to.
type Started struct {
	Runner    RunnerName
	Container string
	Image     string // what the container was created from; "" if reported before
}

// Claim asks for permission to register a runner for its job, and binds the runner to Container. It
// is granted only while the job is queued and no other runner has a live claim on it.
//
// A runner may repeat a claim whose registration it never received. While no registration is
// recorded, the claim is granted again, not before the time of a [PutOff]. Where containers have
// their own ids and nothing was put off, an earlier call may still be registering: the claim is
// then refused, with RetryAfter, until [Limits].Lease has passed since the last grant.
type Claim struct {
	Runner    RunnerName
	Container string
}

// PutOff returns the claim of Runner that was granted at Granted: the claimant stopped without a
// registration, for example because GitHub limits calls. The claim may be repeated once After has
// passed. PutOff is ignored if it was reported before, if a later claim was granted, and if the
// runner is registered: then somebody else is registering it, or is done.
type PutOff struct {
	Runner  RunnerName
	Granted time.Time // [Runner].Claimed of the grant that is returned
	After   time.Duration
	Reason  string    // why, in the words of an error
	Blame   why.Blame // the same, by its cause
}

// Registered reports that GitHub registered a runner under GitHubID.
type Registered struct {
	Runner   RunnerName
	GitHubID int64
}

// Idle reports that a runner listens for a job.
type Idle struct{ Runner RunnerName }

// Busy reports that a runner runs a job, by its agent or by GitHub, which refused to remove it.
// [JobSeen] tells which job.
type Busy struct{ Runner RunnerName }

// Restarting reports that a runner leaves its session and will return, for example to update
// itself.
type Restarting struct{ Runner RunnerName }

// Failed reports that a runner is useless, for example because GitHub refuses to register it. The
// ledger removes it.
type Failed struct {
	Runner  RunnerName
	Reason  string
	Refused bool // GitHub refused to register it and will refuse the next one: retry at growing intervals

	Unauthorized bool // the refusal is about the credential: retry as soon as [Authorized] says that it works
	Blame        why.Blame
}

// LastWords is the agent's report on the imminent end of its runner. It becomes the reason of
// [Gone].
type LastWords struct {
	Runner RunnerName
	Reason string
	Memory pool.MemoryUse
	Output string // the runner's last lines of output; "" if they explain nothing
}

// Gone reports that a runner's container no longer exists or could not be started. It is ignored
// for a container that the runner is not bound to.
type Gone struct {
	Runner    RunnerName
	Container string
	Image     string // what the container was, or was to be, created from; "" if reported before
	ExitCode  int
	Reason    string         // why, if known, such as "idle limit"
	Outside   bool           // the cause was external and says nothing about the image
	Unplaced  bool           // no host had room for it, nor will it soon: retry at growing intervals
	Memory    pool.MemoryUse // if the launcher measures it
	Blame     why.Blame      // what failed it, if known
}

// Found lists this instance's containers after a restart of the launcher, whoever started them. A
// runner that should have a container but has none is gone; a container without a runner is
// removed.
type Found struct{ Runners []RunnerName }

// Promoted reports that Image is current: warm runners from the earlier one are renewed.
type Promoted struct{ Image string }

// Authorized says that GitHub accepts the credential: jobs that waited because it did not get their runners.
type Authorized struct{}

// Tick reports that time passed: the sweep. Apply one about every second.
type Tick struct{}

func (in JobSeen) about() (JobKey, RunnerName)    { return KeyOf(in.Job), RunnerName(in.Job.RunnerName) }
func (in JobLost) about() (JobKey, RunnerName)    { return in.Job, "" }
func (in Starting) about() (JobKey, RunnerName)   { return JobKey{}, in.Runner }
func (in Started) about() (JobKey, RunnerName)    { return JobKey{}, in.Runner }
func (in Claim) about() (JobKey, RunnerName)      { return JobKey{}, in.Runner }
func (in PutOff) about() (JobKey, RunnerName)     { return JobKey{}, in.Runner }
func (in Registered) about() (JobKey, RunnerName) { return JobKey{}, in.Runner }
func (in Idle) about() (JobKey, RunnerName)       { return JobKey{}, in.Runner }
func (in Busy) about() (JobKey, RunnerName)       { return JobKey{}, in.Runner }
func (in Restarting) about() (JobKey, RunnerName) { return JobKey{}, in.Runner }
func (in Failed) about() (JobKey, RunnerName)     { return JobKey{}, in.Runner }
func (in LastWords) about() (JobKey, RunnerName)  { return JobKey{}, in.Runner }
func (in Gone) about() (JobKey, RunnerName)       { return JobKey{}, in.Runner }
func (in Found) about() (JobKey, RunnerName)      { return JobKey{}, "" }
func (in Promoted) about() (JobKey, RunnerName)   { return JobKey{}, "" }
func (in Tick) about() (JobKey, RunnerName)       { return JobKey{}, "" }
func (in Authorized) about() (JobKey, RunnerName) { return JobKey{}, "" }
