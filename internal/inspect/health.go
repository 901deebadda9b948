package inspect

import (
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// Health is how the pipeline itself is doing, as its platform reports it.
type Health struct {
	Running bool   // mayfly up has the state folder open, or the stack's rules are on
	Words   string // such as "mayfly up is running"
	Fix     string // the next thing to do if it does not run

	Parts       []Check            // of what runs: the launcher, the database, GitHub
	Backlogs    []eventlog.Backlog // of the rules of a bus that tells
	Quarantined int                // deliveries that lack what routing needs
	Replays     []eventlog.Replay  // that run
}

// A State says how much a [Check] needs a person.
type State string

// The states, from good to bad.
const (
	StateOK      State = "ok"
	StateUnknown State = "unknown" // nobody has looked, or could
	StateWarning State = "warning" // it works, and something should be looked at
	StateFault   State = "fault"   // it does not work
)

// A Check is how one part of a Mayfly is doing.
type Check struct {
	Name   string `json:"name"` // of the part, such as "launcher" or "dead letters"
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the next thing to do

	Cause why.Cause `json:"cause,omitempty"` // what it means for a job that waits; "" if it keeps none
}

// String is what a line says of c.
func (c Check) String() string {
	if c.Fix == "" {
		return c.Detail
	}
	return c.Detail + ": " + c.Fix
}

// Names of checks. Those of rules and schemas have theirs behind a space.
const (
	CheckService    = "service" // mayfly up, or the stack
	CheckLimits     = "limits"
	CheckImage      = "image"
	CheckRule       = "rule"
	CheckLetters    = "dead letters"
	CheckQuarantine = "quarantine"
	CheckLedger     = "ledger"
	CheckSchema     = "schema"
)

// LimitsUnknown is what there is to say of a job where nobody has written what limits are in force.
const LimitsUnknown = "limits unknown: mayfly up of this version writes them when it starts"

// counted is how many of a thing a status counts: more are "1000+".
const counted = 1000

// checks makes the list of checks from what else v has. It has one of each part that works, and one
// for each thing that does not.
func (v *Status) checks(h Health, now time.Time) (all []Check) {
	add := func(name string, state State, fix, detail string, args ...any) {
		all = append(all, Check{Name: name, State: state, Detail: fmt.Sprintf(detail, args...), Fix: fix})
	}
	if h.Running {
		add(CheckService, StateOK, "", "%s", h.Words)
	} else {
		add(CheckService, StateFault, h.Fix, "%s", h.Words)
	}
	v.parts, all = len(h.Parts), append(all, h.Parts...)
	if v.Unknown {
		limits, fix, _ := strings.Cut(LimitsUnknown, ": ")
		add(CheckLimits, StateUnknown, fix, "%s", limits)
	}
	for _, a := range v.Images.Alarms {
		add(CheckImage, StateFault, "", "%s", a.Message)
	}
	for _, b := range v.Backlogs {
		if b.Failing > 0 {
			add(CheckRule+" "+b.Rule, StateWarning, "", "rule %s: %d of %d deliveries have failed and are tried again, the oldest for %s",
				b.Rule, b.Failing, b.Pending, cli.Duration(now.Sub(b.Oldest)))
		}
	}
	if v.Dead > 0 {
		add(CheckLetters, StateWarning, "mayfly dlq list shows why", "%s", many(v.Dead, "dead letter", "dead letters"))
	}
	if v.Held > 0 {
		add(CheckQuarantine, StateWarning, "mayfly quarantine list shows why", "%s in quarantine, without what routing needs", many(v.Held, "delivery", "deliveries"))
	}
	for _, r := range v.Aside {
		add(CheckLedger, StateFault, "", "the ledger cannot read %s and goes on without it: %s", r.Row, r.Reason)
	}
	for _, d := range v.Drift {
		add(CheckSchema+" "+d.Schema, StateWarning, "mayfly schema drift "+d.Schema, "schema %s has changed: %s%s", d.Schema, d.First, AndMore(d.Changes-1))
	}
	return all
}

// many counts things.
func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return AtMost(n) + " " + more
}

// AtMost prints a count that was cut where a status stops to count.
func AtMost(n int) string {
	if n >= counted {
		return fmt.Sprintf("%d+", n)
	}
	return fmt.Sprint(n)
}

// AndMore says that n more were left out.
func AndMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// Parts are the checks of what runs that need a person: they belong beside the first line.
func (v *Status) Parts() (some []Check) {
	for _, c := range v.Health[1 : v.parts+1] {
		if c.State == StateWarning || c.State == StateFault {
			some = append(some, c)
		}
	}
	return some
}

// Findings are the other checks that need a person.
func (v *Status) Findings() (some []Check) {
	for _, c := range v.Health[v.parts+1:] {
		if c.State != StateOK {
			some = append(some, c)
		}
	}
	return some
}
