// Package why is the closed set of answers to "why is my job waiting?". A [Cause] is the first link
// that broke, or the step that a job is at: it has a code for programs, a kind with an exit code,
// and a fix for people. An [Answer] is a cause with a sentence about one job.
//
// The ledger, which knows most causes, answers with this package; what concerns the machine or the
// forge is added where it is known. Every sentence about a waiting job comes from here.
package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Cause is the code of an answer, such as "pool-full". Codes are stable.
type Cause string

// A Kind groups causes by who has to act. Its value is the exit code of `mayfly why`.
type Kind int

// The kinds. Codes below 10 are those of every command.
const (
	OnItsWay      Kind = 0  // nothing is wrong: it is over, running, or on its way
	Room          Kind = 10 // it waits for room
	Configuration Kind = 11 // the configuration of Mayfly or of the workflow keeps it from running
	Refused       Kind = 12 // the forge refuses what Mayfly asks for
	Deferred      Kind = 13 // the forge limits calls, fails, or is out of reach
	Machine       Kind = 14 // Mayfly itself or its host does not work
	RunnerFailed  Kind = 15 // a runner was made for it, and failed
	Delivery      Kind = 16 // Mayfly was not told of it
	Held          Kind = 17 // the forge holds it back
	Unknown       Kind = 18 // nobody knows it, or nobody could be asked
)

// Facts fill the placeholders of fixes: {pool}, {job}, {runner}, {repository}, {hook} and {forge}.
type Facts struct{ Pool, Job, Runner, Repository, Hook, Forge string }

// An Answer says why one job is where it is.
type Answer struct {
	Cause Cause     `json:"cause"`
	Text  string    `json:"why"`            // a sentence, the cause first
	Fix   string    `json:"fix"`            // the next thing to do
	Until time.Time `json:"until,omitzero"` // when what it waits for ends by itself, if that is known
}

// New returns an answer with the cause's own fix.
func New(c Cause, f Facts, format string, args ...any) Answer {
	return Answer{Cause: c, Text: fmt.Sprintf(format, args...), Fix: c.Fix(f)}
}

// And returns a with more text.
func (a Answer) And(text string) Answer {
	a.Text += text
	return a
}

// Advised returns a with another fix, unless that is "".
func (a Answer) Advised(fix string) Answer {
	a.Fix = cmp.Or(fix, a.Fix)
	return a
}

// Exit returns the exit code of `mayfly why` for the answer.
func (a Answer) Exit() int { return int(a.Cause.Kind()) }

// A Blame is why a runner failed, or why its registration waits, as far as that was known where it happened.
type Blame struct {
	Cause Cause  `json:"cause,omitempty"`
	Fix   string `json:"fix,omitempty"` // better than the cause's own; "" for that one
}

// Causes returns all causes, sorted by kind and code.
func Causes() []Cause {
	all := make([]Cause, 0, len(table))
	for c := range table {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Cause) int { return cmp.Or(cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(a, b)) })
	return all
}

// Kind returns the kind of c; Unknown for a cause that is none.
func (c Cause) Kind() Kind {
	if e, ok := table[c]; ok {
		return e.kind
	}
	return Unknown
}

// Fix returns the next thing to do about c.
func (c Cause) Fix(f Facts) string {
	return strings.NewReplacer(
		"{pool}", cmp.Or(f.Pool, "POOL"), "{job}", cmp.Or(f.Job, "JOB"), "{runner}", cmp.Or(f.Runner, "RUNNER"), "{repository}", cmp.Or(f.Repository, "OWNER/REPOSITORY"),
		"{hook}", cmp.Or(f.Hook, "mayfly webhook install"), "{forge}", cmp.Or(f.Forge, "GitHub"),
	).Replace(table[c].fix)
}
