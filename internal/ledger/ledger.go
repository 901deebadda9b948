// Package ledger is stage 3, the heart of Mayfly: which jobs there are, which
// runners, and what follows from that.
//
// It is a pure state machine. [State.Apply] takes an [Input] (GitHub said something
// of a job, a runner claims, a container ended, time passed) and gives a
// [Result]: what changed, and the [Effect]s that somebody else has to bring about (a runner
// is wanted, a runner has to go, GitHub has to be asked). There is no I/O, no
// clock and no randomness here, so a year of traffic with every fault runs in a
// test in seconds. A [Store] keeps the state: ledger/sqlite on one machine,
// ledger/dynamo on AWS.
//
// After every input the same plan is made afresh from the totals: in each set of jobs and
// runners of one pool with equal labels, the queued jobs are the demand, and the runners
// that are coming or idle are the supply. A deficit is made good with
// new runners as far as limits allow; a surplus is removed. So no event is
// counted on: lost ones are made good by the next, doubled ones change nothing,
// and a runner that GitHub gave to another job leaves no hole.
package ledger

import (
	"context"
	"errors"
)

// ErrNotFound is the error for a job or runner that a store does not have.
var ErrNotFound = errors.New("not in the ledger")

// A Store keeps a State. Its methods may be called from several goroutines at
// once. The package ledgertest has the test that every store passes.
type Store interface {
	// Apply applies in to the state, at the store's own time. Inputs are applied
	// one after another, each to what the one before left; finished jobs and gone
	// runners that in names are part of the state it is applied to ([State.Missing]).
	//
	// When Apply returns nil, the changes and the effects are durable, both or
	// neither; effects that could not be passed on yet are with an input that comes later. After an error the input may or may not have been applied: every input may be
	// given again, and the store goes on from what is kept.
	Apply(ctx context.Context, in Input) (Result, error)

	// ApplyAll applies inputs in their order, as [Store.Apply] does one after another, in as few
	// transactions as the store's bounds allow. It returns the results of those that are durable, the first
	// ones: all of them when the error is nil. The error is that of the next one, and applies to all after it.
	ApplyAll(ctx context.Context, ins []Input) ([]Result, error)

	// Snapshot returns a copy of the state: all jobs that are not settled and all live
	// runners, as last made durable.
	Snapshot(ctx context.Context) (*State, error)

	// Jobs and Runners list those that match q, newest first, settled and gone ones
	// too as long as they are kept. [ErrNotFound] when q names one that is not there.
	Jobs(ctx context.Context, q JobQuery) ([]Job, error)
	Runners(ctx context.Context, q RunnerQuery) ([]Runner, error)
}

// A JobQuery selects jobs. The zero value selects the newest [DefaultLimit].
type JobQuery struct {
	Key    JobKey     // only this one
	Open   bool       // only those that are not settled
	States []JobState // only those in one of these states
	After  JobKey     // only those listed after this one, for the next page
	Limit  int        // at most so many; 0 means DefaultLimit
}

// A RunnerQuery selects runners. The zero value selects the newest [DefaultLimit].
type RunnerQuery struct {
	Name  RunnerName // only this one
	Live  bool       // only those that are not gone
	Job   JobKey     // only those that were made for this job
	Image string     // only those whose start from this image came out, well or not ([Runner.Outcome])
	After RunnerName // only those listed after this one, for the next page
	Limit int        // at most so many; 0 means DefaultLimit
}

// DefaultLimit is how many entries a list has unless the query says otherwise.
const DefaultLimit = 100
