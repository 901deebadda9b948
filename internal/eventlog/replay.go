package eventlog

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// A Selection says which events of the log are delivered once more, and to which rules.
// Its zero value is all of them, to the rules that match replayed events.
type Selection struct {
	From    time.Time        `json:"from"`              // published then or later
	To      time.Time        `json:"to"`                // published before that; zero for all there are
	Rules   []string         `json:"rules,omitempty"`   // names; none stands for all
	Pattern *pattern.Pattern `json:"pattern,omitempty"` // of the events as they were published; nil for all

	// Launch has events matched by rules as if they were new. Without it they are matched
	// with their replay-name, so that a rule that asks for events without one, as those
	// do that start runners, does not match.
	Launch bool `json:"launch"`
}

// Matches reports whether e passes the pattern.
func (s Selection) Matches(e event.Event) (bool, error) { return matches(s.Pattern, e) }

// A ReplayOrder asks for a replay.
type ReplayOrder struct {
	Name string `json:"name"`
	Selection
}

// A Preview is what a replay would do.
type Preview struct {
	Events     int            `json:"events"`     // that match a rule
	Dropped    int            `json:"dropped"`    // events whose detail was dropped to keep the log's size limit
	Deliveries map[string]int `json:"deliveries"` // by rule
}

// Replay states.
const (
	ReplayRunning   = "running"
	ReplayCompleted = "completed"
	ReplayCancelled = "cancelled"
)

// A Replay is a selection under way, or what is known of one that has ended.
type Replay struct {
	Name string `json:"name"`
	Selection
	State      string    `json:"state"`
	Begun      time.Time `json:"begun"`
	Ended      time.Time `json:"ended"`      // zero while it runs
	Ahead      int64     `json:"ahead"`      // events of the log that it has still to look at, at most
	Events     int       `json:"events"`     // that matched a rule so far
	Deliveries int       `json:"deliveries"` // made of these
	Pending    int       `json:"pending"`    // of these
	Dead       int       `json:"dead"`       // of these, with a dead letter
}

// ErrReplay is what a replay is refused with, or a change of one: its text says why.
var ErrReplay = errors.New("replay refused")

// replayName is the form of a replay's name, at most maxReplayName bytes long, as in EventBridge.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
var replayName = regexp.MustCompile(`^[-._A-Za-z0-9]+$`)

const maxReplayName = 64

// CheckReplayName says what keeps a replay from being called so, here and by EventBridge.
func CheckReplayName(name string) error {
	if len(name) > maxReplayName || !replayName.MatchString(name) {
		return fmt.Errorf("%w: name %q: want letters, digits, dots, dashes and underscores, 64 at most", ErrReplay, name)
	}
	return nil
}
