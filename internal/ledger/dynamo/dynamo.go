// Package dynamo keeps the ledger of a stack in a DynamoDB table, which any number
// of Lambda functions write to at once.
//
// Nobody holds a lock. All that is open hangs on one item, the head, which counts
// versions: an input is applied to the state of one version, and what changes is
// written in one transaction that replaces the head, if it still is the one that was read.
// Who comes second reads what the first has written and applies its input to that.
//
// Effects go into the table in the same transaction, and from there to [Config].Emit:
// both are kept or neither is, and what could not be sent is sent later.
//
// The state stays in memory from call to call. What others have written since is in a log, by
// version, so that a busy ledger is not read whole for every input.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Config is what a [Ledger] needs.
type Config struct {
	Table  string
	Limits ledger.Limits // Changes is bounded by what a transaction takes, [MaxChanges]

	// Emit sends effects on, after they were kept. With its error they stay, and are sent again
	// with the next input or by [Ledger.Flush]: effects may be sent twice, and by another process.
	Emit func(ctx context.Context, effects []ledger.Effect) error

	Log  *slog.Logger
	Now  func() time.Time // the clock; time.Now if nil
	Keep time.Duration    // how long settled jobs and gone runners are kept; 0 means [DefaultKeep]
}

// DefaultKeep is how long settled jobs and gone runners are kept.
const DefaultKeep = 30 * 24 * time.Hour

// MaxChanges is how many jobs and runners may change in one turn. A transaction takes 100 items:
// the head, its log entry and its effects, and two for each that moves to where finished
// ones lie; and a turn ends two beyond its bound.
const MaxChanges = (100-3)/2 - 2

// A Ledger is a [ledger.Store] in a DynamoDB table. There may be any number for one table.
type Ledger struct {
	config Config
	table  table

	turn chan struct{} // holds one token: who has it owns all below

	kept    kept
	unsent  bool // effects of ours may lie in the outbox
	checked bool // unroutable jobs were looked at under these limits
}

// New returns the ledger in a table made by [Table]. Nothing is read or written
// before it is asked for something.
func New(client *dynamodb.Client, c Config) *Ledger {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	if c.Limits.Changes == 0 || c.Limits.Changes > MaxChanges {
		c.Limits.Changes = MaxChanges
	}
	l := &Ledger{config: c, table: table{client, c.Table}, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// Open is New with a client of its own.
func Open(a aws.Config, c Config) *Ledger { return New(dynamodb.NewFromConfig(a), c) }

// own waits for l's turn and returns what ends it.
func (l *Ledger) own(ctx context.Context) (release func(), err error) {
	select {
	case <-l.turn:
		return func() { l.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errConflict says that another has written first.
var errConflict = errors.New("others wrote first")

// How often an input is applied anew when others were first, and how long the pauses get. Each
// try of many that fail takes from what DynamoDB can do in a second, so they get rare: 25 s in
// all, of the 30 that a function has. What is given up then, Lambda tries again later.
const (
	attempts   = 50
	firstPause = 10 * time.Millisecond
	maxPause   = time.Second
)

// Apply implements [ledger.Store].
func (l *Ledger) Apply(ctx context.Context, in ledger.Input) (ledger.Result, error) {
	results, err := l.ApplyAll(ctx, []ledger.Input{in})
	if err != nil {
		return ledger.Result{}, err
	}
	return results[0], nil
}

// retry calls f until it meets no conflict.
func retry(ctx context.Context, f func() error) error {
	for n := range attempts {
		err := f()
		if !errors.Is(err, errConflict) {
			return err
		}
		pause := min(firstPause<<min(n, 10), maxPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(pause)): // nobody's pauses are alike, so that one of them is first
		}
	}
	return fmt.Errorf("%w, %d times", errConflict, attempts)
}

// finished returns those rows called names that are not open.
func (l *Ledger) finished(ctx context.Context, names []string) (map[string]row, error) {
	var where []item
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, place := range places(name) {
			if place != partOpen {
				where = append(where, keyOf(place, name))
			}
		}
	}
	return l.rows(ctx, where)
}

// rows reads rows; of one that moves meanwhile, and so is found twice, the newer.
func (l *Ledger) rows(ctx context.Context, where []item) (map[string]row, error) {
	items, err := l.table.batch(ctx, where)
	if err != nil {
		return nil, err
	}
	found := map[string]row{}
	for _, it := range items {
		r := rowOf(it)
		if r.version > found[r.name].version {
			found[r.name] = r
		}
	}
	return found, nil
}

// unroutable adds the jobs to found that fit no pool when last seen: one may take them by
// now. Once for each process is enough, since limits do not change in its life.
func (l *Ledger) unroutable(ctx context.Context, found map[string]row) error {
	since := l.config.Now().Add(-l.config.Limits.WithDefaults().Queue)
	err := l.table.query(ctx, partition(partUnroutable), func(it item) (bool, error) {
		if r := rowOf(it); r.job.Created.After(since) {
			found[r.name] = r
		}
		return true, nil
	})
	l.checked = err == nil
	return err
}

var _ ledger.Store = (*Ledger)(nil)
