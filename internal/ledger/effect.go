package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// An Effect is an action to carry out outside the ledger. Its JSON form is the detail of an event
// on the bus: flat and without secrets. An effect may be carried out late, twice or never: the
// ledger requests it again until it sees the outcome.
type Effect interface {
	// DetailType is the detail type of the effect's event.
	DetailType() string
	sealed()
}

// WantRunner requests the start of a runner. The launcher first applies [Starting], and goes on
// only if it is granted.
type WantRunner struct {
	Runner RunnerName `json:"runner"`
	Pool   string     `json:"pool"`
	Job    JobKey     `json:"job"`    // the job it is made for
	Labels string     `json:"labels"` // the text of a [LabelSet]
	Scope
}

// RemoveRunner requests the removal of a runner. Unless Force is set, its registration goes first,
// if Registered: if GitHub refuses because the runner is busy, apply [Busy] and stop. Then remove
// the container and apply [Gone].
type RemoveRunner struct {
	Runner     RunnerName `json:"runner"`
	Pool       string     `json:"pool"`
	Container  string     `json:"container,omitempty"` // "" if none is bound to it
	GitHubID   int64      `json:"github_id,omitempty"` // 0 if unknown
	Registered bool       `json:"registered"`          // whether GitHub may know it
	Force      bool       `json:"force"`               // remove it even if busy: it exceeded its total limit, or its job has ended
	Reason     string     `json:"reason"`
	Scope
}

// CheckJob requests the state of a job from GitHub. The answer comes back as [JobSeen], or as
// [JobLost] if GitHub does not know the job.
type CheckJob struct {
	Job    JobKey `json:"job"`
	Reason string `json:"reason"`
	Scope
}

func (WantRunner) DetailType() string   { return event.TypeRunnerWanted }
func (RemoveRunner) DetailType() string { return event.TypeRunnerUnwanted }
func (CheckJob) DetailType() string     { return event.TypeJobUncertain }

// ParseEffect reads the JSON form of an effect.
func ParseEffect(detailType string, detail []byte) (Effect, error) {
	switch detailType {
	case event.TypeRunnerWanted:
		return parse[WantRunner](detail)
	case event.TypeRunnerUnwanted:
		return parse[RemoveRunner](detail)
	case event.TypeJobUncertain:
		return parse[CheckJob](detail)
	}
	return nil, fmt.Errorf("detail type %q: want %q, %q or %q", detailType, event.TypeRunnerWanted, event.TypeRunnerUnwanted, event.TypeJobUncertain)
}

func parse[T Effect](detail []byte) (Effect, error) {
	var e T
	if err := json.Unmarshal(detail, &e); err != nil {
		return nil, fmt.Errorf("detail of %q: %w", e.DetailType(), err)
	}
	return e, nil
}

func (WantRunner) sealed()   {}
func (RemoveRunner) sealed() {}
func (CheckJob) sealed()     {}

// A Result is the outcome of an input.
type Result struct {
	Jobs    []Job    // the jobs that changed, in their new state
	Runners []Runner // the runners that changed, in their new state
	Effects []Effect
	Moves   []Move // of the changed jobs and runners, those that are in another state than before

	// More reports that Limits.Changes left work undone: apply a Tick to continue.
	More bool

	// Granted is the answer to Starting and Claim. If it is false, and for any other input that was
	// ignored, Reason says why.
	Granted    bool
	Reason     string
	RetryAfter time.Duration // when a refused claim may be granted; 0 for never

	Runner Runner // the runner that the input names, in its new state; zero if unknown
}

// A Move is a job or a runner that an input took to another state. The other of the two is zero.
type Move struct {
	Job    Job
	Runner Runner
	From   string // its state before; "" for a new one
}

// Changed reports whether there are changes to store.
func (r Result) Changed() bool { return len(r.Jobs)+len(r.Runners) > 0 }
