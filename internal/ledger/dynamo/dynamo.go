// Package dynamo keeps the ledger of a stack in a DynamoDB table, which any number of Lambda
// functions write to concurrently.
//
// There are no locks. One item, the head, counts versions. An input is applied to the state of one
// version, and its changes are written in one transaction that replaces the head, on condition that
// it is still the one that was read. The writer that comes second reads what the first has written
// and applies its input again, to that.
//
// Effects enter the table in the same transaction, and are sent to [Config].Emit from there:
// changes and effects are stored both or neither, and what could not be sent is sent later.
//
// The state stays in memory between calls. A log, ordered by version, tells what other processes
// have written since, so that a busy ledger is not read whole for every input.
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

// Config configures a [Ledger].
type Config struct {
	Table  string
	Limits ledger.Limits // Changes is capped at [MaxChanges], what a transaction takes

	// Emit sends effects that are stored already. After an error they stay stored, and are sent
	// again with the next input or by [Ledger.Flush]: effects may be sent twice, and by another
	// process.
	Emit func(ctx context.Context, effects []ledger.Effect) error

	Log  *slog.Logger
	Now  func() time.Time // the clock; time.Now if nil
	Keep time.Duration    // how long settled jobs and gone runners are kept; 0 means [ledger.DefaultKeep]
}

// MaxChanges is how many jobs and runners one input may change. A transaction takes 100 items: the
// head, its log entry and its effects, and two for each row that moves to another partition; and an
// input may exceed its bound by two.
const MaxChanges = (100-3)/2 - 2

// A Ledger is a [ledger.Store] in a DynamoDB table. A table may have any number of them.
type Ledger struct {
	config Config
	table  table

	token chan struct{} // a mutex that respects contexts: the goroutine that takes the token owns the fields below

	cache   cache
	unsent  bool // the outbox may contain effects of ours
	checked bool // unroutable jobs were reconsidered under these limits
}

// New returns the ledger in a table made by [Table]. It does no I/O.
func New(client *dynamodb.Client, c Config) *Ledger {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Keep == 0 {
		c.Keep = ledger.DefaultKeep
	}
	if c.Limits.Changes == 0 || c.Limits.Changes > MaxChanges {
		c.Limits.Changes = MaxChanges
	}
	l := &Ledger{config: c, table: table{client, c.Table}, token: make(chan struct{}, 1)}
	l.token <- struct{}{}
	return l
}

// Open is New with its own client.
func Open(a aws.Config, c Config) *Ledger { return New(dynamodb.NewFromConfig(a), c) }

// lock waits for exclusive use of l and returns the function that ends it.
func (l *Ledger) lock(ctx context.Context) (release func(), err error) {
	select {
	case <-l.token:
		return func() { l.token <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errConflict means that another process has written first.
var errConflict = errors.New("others wrote first")

// How often an input is applied again after conflicts, and how long the pauses get. Every failing
// try uses up table capacity, so tries get rarer: at most 25 s in all, of the 30 that a function
// has. If the last one fails, Lambda retries the event later. The first pause is about a transaction long: who comes
// back sooner meets the same writer.
const (
	attempts   = 50
	firstPause = 40 * time.Millisecond
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
		case <-time.After(rand.N(pause)): // random, so that two writers do not collide again
		}
	}
	return fmt.Errorf("%w, %d times", errConflict, attempts)
}

// readFinished returns the rows called names that are not open. A row may be in one of several
// partitions.
func (l *Ledger) readFinished(ctx context.Context, names []string) (map[string]row, error) {
	var where []item
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, part := range partitionsOf(name) {
			if part != partOpen {
				where = append(where, keyOf(part, name))
			}
		}
	}
	return l.rows(ctx, where)
}

// rows reads rows by key. A row that moves during the read may be found twice: the newer version
// counts.
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

// readUnroutable adds to found the jobs that fitted no pool when last seen, because a pool may take
// them now. Once per process suffices, since limits do not change during its life.
func (l *Ledger) readUnroutable(ctx context.Context, found map[string]row) error {
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
