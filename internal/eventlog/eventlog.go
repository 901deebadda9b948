// Package eventlog has the nouns of a bus that can be read: stored events, dead letters,
// deliveries in quarantine, replays. The bus of one machine and the stack on AWS both
// answer with them, so what lists them needs neither.
package eventlog

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// A Stored is an event as the log keeps it.
type Stored struct {
	Seq       int64       `json:"seq"`       // its number in the order of publishing; it counts for one reader only
	Published time.Time   `json:"published"` // by the bus's clock, in UTC; Event.Time is the sender's
	Event     event.Event `json:"event"`
}

// A Filter picks events; its zero value picks all. Empty fields do not count.
type Filter struct {
	Source     string
	DetailType string
	Since      time.Time // published then or later
	After      int64     // numbers greater than this one
	Before     int64     // numbers less than this one, where numbers are in the order of publishing; 0 for all
	ID         string    // the one event of this id
	Pattern    *pattern.Pattern
	Limit      int // the newest ones, that many at most
}

// Matches reports whether e passes the pattern.
func (f Filter) Matches(e event.Event) (bool, error) { return matches(f.Pattern, e) }

func matches(p *pattern.Pattern, e event.Event) (bool, error) {
	if p == nil {
		return true, nil
	}
	envelope, err := e.AppendEnvelope(nil)
	return p.Matches(envelope), err
}

// A Backlog is how much is pending for a rule.
type Backlog struct {
	Rule    string    `json:"rule"`
	Pending int       `json:"pending"`
	Failing int       `json:"failing"` // of these, with an attempt that failed
	Oldest  time.Time `json:"oldest"`  // when the oldest of these was published, or a replay made it
}

// A DeadLetter is a delivery that was given up. Its event has the name of the replay that
// made the delivery, if one did.
type DeadLetter struct {
	Stored
	Rule     string    `json:"rule"`
	Attempts int       `json:"attempts"`
	Reason   string    `json:"reason"` // why it was given up, with the last error
	Died     time.Time `json:"died"`   // when it was given up
}

// A LetterFilter picks dead letters; its zero value picks all. Empty fields do not count.
type LetterFilter struct {
	Events []string `json:"events,omitempty"` // ids of the events
	Rule   string   `json:"rule,omitempty"`
}

// A Quarantined is an event that could not be put on the bus, because it lacks what
// routing needs. It is kept as it came until somebody releases or drops it, or its
// retention ends, which is that of dead letters.
type Quarantined struct {
	Event  event.Event `json:"event"`
	At     time.Time   `json:"at"`     // when it was put there
	Reason string      `json:"reason"` // what it lacks
}

// A QuarantineFilter picks events in quarantine; its zero value picks all.
type QuarantineFilter struct {
	Events []string `json:"events,omitempty"` // ids
}

// A Release is what came of releasing.
type Release struct {
	Released int `json:"released"` // published, or known on the bus by then
	Held     int `json:"held"`     // as they still lack something
}
