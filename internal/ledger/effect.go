package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// An Effect is what has to be brought about outside the ledger. Its JSON form is
// the detail of an event on the bus: flat, without a secret. Effects may be carried out late, twice or
// not at all: the ledger asks again for what it does not see happening.
type Effect interface {
	// DetailType is the detail type of the effect's event.
	DetailType() string
	sealed()
}

// WantRunner asks for a runner to be started. Who does it gives [Starting]
// first and goes on only if that is granted.
type WantRunner struct {
	Runner RunnerName `json:"runner"`
	Pool   string     `json:"pool"`
	Job    JobKey     `json:"job"`             // the job that it is made for
	Labels string     `json:"labels"`          // the text of a [LabelSet]
	First  bool       `json:"first,omitempty"` // it is the first that was made for the job
	Scope
}

// RemoveRunner asks for a runner to be removed: unless Force is set its
// registration first, if Registered, and if GitHub refuses because the runner is busy
// nothing else but [Busy]; then its container, and then [Gone].
type RemoveRunner struct {
	Runner     RunnerName `json:"runner"`
	Pool       string     `json:"pool"`
	Container  string     `json:"container,omitempty"` // "" when none is bound to it
	GitHubID   int64      `json:"github_id,omitempty"` // 0 when it is not known
	Registered bool       `json:"registered"`          // GitHub may know it
	Force      bool       `json:"force"`               // even while it is busy: it is over its total limit, or its job has ended
	Reason     string     `json:"reason"`
	Scope
}

// CheckJob asks for GitHub to be asked how a job stands; the answer comes back
// as [JobSeen], or as [JobLost] when GitHub does not know the job.
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

// A Result is what came of an input.
type Result struct {
	Jobs    []Job    // those that changed, as they are now
	Runners []Runner // those that changed, as they are now
	Effects []Effect

	// More says that Limits.Changes left something undone: give a Tick for it.
	More bool

	// Granted is the answer to a Starting or Claim. When it is false, and for any other
	// input that changed nothing for a reason, Reason says why.
	Granted    bool
	Reason     string
	RetryAfter time.Duration // of a claim that is refused: it may be granted after this; 0 for never

	Runner Runner // the runner that the input names, as it stands now; zero if it is unknown
}

// Changed reports whether there is anything to keep.
func (r Result) Changed() bool { return len(r.Jobs)+len(r.Runners) > 0 }
