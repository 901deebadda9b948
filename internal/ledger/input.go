package ledger

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// An Input is one thing that happened. Every input may come late, twice, or
// after others that it should have come before.
type Input interface {
	about() (JobKey, RunnerName) // what it names; zero where it names none
	apply(*tx)
}

// JobSeen is GitHub's word on a job: an event, or the answer to a [CheckJob].
// An action that the ledger does not know changes nothing.
type JobSeen struct {
	Job event.WorkflowJob
	At  time.Time // when it was said; the ledger's own time if zero

	// Asked says that it is GitHub's answer to a question which was asked at At, and so how the job stood
	// then, whatever its times say. Deliveries come late, twice and in disorder.
	Asked bool
}

// JobLost is GitHub's word that there is no such job (any more).
type JobLost struct {
	Job    JobKey
	Reason string
}

// Starting says that a launcher is about to start a runner, and asks whether it
// should: not if it is gone or has claimed, which is how a [WantRunner] that is
// carried out twice does no harm. With a Container it binds the runner to that: granted
// to the same one again, and to no other. Without one it only says that the runner is on
// its way, where it is open which of several containers will come first.
type Starting struct {
	Runner    RunnerName
	Container string // its launcher's id of it; "" where a container is called as its runner is
	Image     string // what it is to be made from; "" where that is not known yet
}

// Started says that a runner's container runs; that of one it is not bound to
// changes nothing.
type Started struct {
	Runner    RunnerName
	Container string
	Image     string // what it was made from; "" where that was said before
}

// Claim asks for leave to register a runner for the job that it was made for, and binds
// the runner to Container. Granted only while the job is queued and no other runner holds a live
// claim on it.
//
// A runner may come back for what it never got: while GitHub has not been seen to register it, the
// claim is granted to it again, when [PutOff] says. Where containers have ids of their own and
// nothing was put off, another call may be registering it: the claim is refused, with Again, until
// [Limits].Lease after the last grant.
type Claim struct {
	Runner    RunnerName
	Container string
}

// PutOff says that nothing has come of the claim of a runner that was granted at Granted:
// whoever made it has stopped without a registration to hand out, such as where
// GitHub limits calls, and may make it again After from now, no sooner and no later. It
// changes nothing when it was said before, and once another claim of the runner was granted, or the
// runner is registered: then somebody else is at it, or done.
type PutOff struct {
	Runner  RunnerName
	Granted time.Time // [Runner].Claimed of the grant that is given back
	After   time.Duration
}

// Registered says that GitHub has registered a runner, as GitHubID.
type Registered struct {
	Runner   RunnerName
	GitHubID int64
}

// Idle says that a runner is listening for a job.
type Idle struct{ Runner RunnerName }

// Busy says that a runner is running a job: its agent's word, or GitHub's when
// it would not remove a busy runner. Which job it is comes with [JobSeen].
type Busy struct{ Runner RunnerName }

// Restarting says that a runner leaves its session and comes again, such as to update itself.
type Restarting struct{ Runner RunnerName }

// Failed says that a runner will be of no use, such as when GitHub
// refuses to register it. The runner has to go.
type Failed struct {
	Runner  RunnerName
	Reason  string
	Refused bool // GitHub refuses to register it, and so will do the next one: those are made at growing pauses
}

// LastWords is what a runner's agent says of the runner's end, which comes soon: it becomes the reason of [Gone].
type LastWords struct {
	Runner RunnerName
	Reason string
	Memory pool.MemoryUse
	Output string // the last lines that the runner printed; "" where they tell nothing
}

// Gone says that nothing of a runner's container is left, or that it could not
// be started. That of one which the runner is not bound to changes nothing.
type Gone struct {
	Runner    RunnerName
	Container string
	Image     string // what it was made from, or was to be; "" where that was said before
	ExitCode  int
	Reason    string         // why, as far as it is known, such as "idle limit"
	Outside   bool           // its end came from outside, and says nothing of its image
	Memory    pool.MemoryUse // where who runs containers sees it
}

// Found lists the containers that there are, of this ledger's instance, whoever
// started them: a launcher's list after a restart. A runner that should have one and
// has not is gone; a container without a runner has to go.
type Found struct{ Runners []RunnerName }

// Tick says that time has passed: the sweep. Give one every second or so.
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
func (in Tick) about() (JobKey, RunnerName)       { return JobKey{}, "" }
