// Package ledger is stage 3, the heart of Mayfly: it tracks jobs and runners, and decides which
// runners to start and which to remove.
//
// It is a pure state machine. [State.Apply] takes an [Input] (GitHub reported a job, a runner
// claims, a container ended, time passed) and returns a [Result]: what changed, and the [Effect]s
// to carry out (start a runner, remove one, ask GitHub). It has no I/O, clock or randomness, so a
// test plays a year of traffic with every fault in seconds. A [Store] keeps the state:
// ledger/sqlite on one machine, ledger/dynamo on AWS.
//
// Every input is followed by the same plan, made from the totals. A group is the jobs and runners
// of one pool with equal labels: its queued jobs are the demand, its coming and idle runners the
// supply. New runners cover a deficit as far as limits allow; surplus runners are removed. The plan
// never relies on a single event: a lost one is corrected by the next, a duplicate changes nothing,
// and a runner that GitHub gave to another job is replaced.
package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrNotFound is returned for a job or runner that the store does not have.
var ErrNotFound = errors.New("not in the ledger")

// DefaultKeep is how long stores keep settled jobs and gone runners.
const DefaultKeep = 30 * 24 * time.Hour

// A Store keeps a State. Its methods are safe for concurrent use. Package ledgertest has the
// contract test that every store passes.
type Store interface {
	// Apply applies in at the store's own time. Inputs are applied one after another, each to the
	// state that the previous one left; settled jobs and gone runners that in names are loaded
	// first ([State.Missing]).
	//
	// When Apply returns nil, changes and effects are durable, both or neither; effects that could
	// not be emitted are retried with a later input. After an error the input may or may not have
	// been applied: the caller may repeat any input, and the store continues from what is stored.
	Apply(ctx context.Context, in Input) (Result, error)

	// ApplyAll applies inputs in order, as [Store.Apply] does one by one, in as few transactions as
	// the store's limits allow. It returns the results of the inputs that are durable, which are the
	// first ones: all of them if the error is nil. The inputs after those may be repeated.
	ApplyAll(ctx context.Context, ins []Input) ([]Result, error)

	// Snapshot returns a copy of the last durable state: all unsettled jobs and live runners.
	Snapshot(ctx context.Context) (*State, error)

	// Jobs and Runners list the matches of q, newest first, including settled jobs and gone runners
	// that are still kept. The error is [ErrNotFound] if q names one that does not exist.
	Jobs(ctx context.Context, q JobQuery) ([]Job, error)
	Runners(ctx context.Context, q RunnerQuery) ([]Runner, error)
}

// A JobQuery selects jobs. The zero value selects the newest [DefaultLimit].
type JobQuery struct {
	Key    JobKey     // only this job
	Open   bool       // only unsettled jobs
	States []JobState // only jobs in one of these states
	After  JobKey     // only jobs listed after this one, to get the next page
	Limit  int        // maximum number of jobs; 0 means DefaultLimit

	Repository string    // only jobs of this repository, or of this owner's if it ends in a slash; ignoring case
	Pool       string    // only jobs of this pool
	Conclusion string    // only jobs that ended so
	Text       string    // only jobs with this in their name, workflow or key, ignoring the case of ASCII letters
	Since      time.Time // only jobs that GitHub created then or later
}

// Picks reports whether j is one that q selects, besides Key, After and Limit.
func (q JobQuery) Picks(j Job) bool {
	return (!q.Open || !j.Settled()) && (len(q.States) == 0 || slices.Contains(q.States, j.State)) && q.at(Lower(j.Scope.Repository)) &&
		(q.Pool == "" || j.Pool == q.Pool) && (q.Conclusion == "" || j.State == JobCompleted && j.Conclusion == q.Conclusion) &&
		(q.Text == "" || strings.Contains(j.Searched(), Lower(q.Text))) && !j.Created.Before(q.Since)
}

// at reports whether q selects jobs of a repository in lower case.
func (q JobQuery) at(repository string) bool {
	wanted := Lower(q.Repository)
	return wanted == "" || repository == wanted || strings.HasSuffix(wanted, "/") && strings.HasPrefix(repository, wanted)
}

// Searched is the text in which [JobQuery] looks for Text, in lower case.
func (j Job) Searched() string { return Lower(j.Name + "\n" + j.Workflow + "\n" + j.Key.String()) }

// Lower returns s with its ASCII letters in lower case, as databases compare.
func Lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// A RunnerQuery selects runners. The zero value selects the newest [DefaultLimit].
type RunnerQuery struct {
	Name  RunnerName // only this runner
	Live  bool       // only runners that are not gone
	Job   JobKey     // only runners made for this job
	Image string     // only runners whose start from this image has an outcome, good or bad ([Runner.Outcome])
	After RunnerName // only runners listed after this one, to get the next page
	Limit int        // maximum number of runners; 0 means DefaultLimit
}

// DefaultLimit is the length of a list if the query sets none.
const DefaultLimit = 100
