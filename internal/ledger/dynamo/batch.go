package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// ApplyAll implements [ledger.Store]. Inputs share a transaction as far as its items go.
func (l *Ledger) ApplyAll(ctx context.Context, ins []ledger.Input) (done []ledger.Result, err error) {
	release, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	for len(done) < len(ins) {
		var results []ledger.Result
		var w write
		err := retry(ctx, func() error {
			results, w, err = l.apply(ctx, ins[len(done):])
			return err
		})
		if err != nil {
			return done, fmt.Errorf("ledger: applying %T: %w", ins[len(done)], err)
		}
		l.sendEffects(ctx, w)
		done = append(done, results...)
	}
	return done, nil
}

// apply applies as many of ins, from the first on, as one transaction takes, to what is kept now. It returns their
// results and what was written, if anything.
func (l *Ledger) apply(ctx context.Context, ins []ledger.Input) ([]ledger.Result, write, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, write{}, err
	}
	state := l.cache.state(l.config.Limits)
	found, err := l.load(ctx, state, ins)
	if err != nil {
		return nil, write{}, err
	}
	defer state.Compact()
	now := l.config.Now()
	var results []ledger.Result
	size := sizing{max: l.config.Limits.Changes, at: func(name string) string { return l.cache.partitionOf(name, found) }}
	for _, in := range ins {
		if len(results) > 0 && size.left() < leastLeft {
			break
		}
		state.Bound(size.left())
		result := state.Apply(in, now)
		size.add(result)
		results = append(results, result)
	}
	all := ledger.Merge(results)
	if !all.Changed() && len(all.Effects) == 0 {
		return results, write{}, nil
	}
	w := l.cache.write(found, all)
	w.effects, w.now = all.Effects, now
	if err := l.commit(ctx, w); err != nil {
		l.cache.undo(found, w)
		if !errors.Is(err, errConflict) {
			l.unsent = true // it may have been kept all the same
		}
		return nil, write{}, err
	}
	l.cache.advance(w.head, w.after)
	return results, w, nil
}

// undo has the state in memory be as before w, which was not kept, and before found was loaded.
func (k *cache) undo(found map[string]row, w write) {
	for _, r := range found {
		if r.fault != nil {
			k.built = nil
		}
	}
	k.show(maps.Keys(found))
	k.show(func(yield func(string) bool) {
		for _, r := range w.after {
			if !yield(r.name) {
				return
			}
		}
	})
}

// leastLeft is how many changes an input may come to before it asks whether there is room for more: one that
// needs more of the plan than that gets the rest with the next transaction ([ledger.Result].More).
const leastLeft = 8

// A sizing counts the items that a transaction of several inputs has.
type sizing struct {
	max   int                      // changes of one input that has the transaction to itself
	at    func(name string) string // where a row lies; "" for nowhere
	items map[string]int           // of each row: two of one that moves
	sum   int
}

// left is how many changes fit beside those that were counted, each of which may be a move.
func (s *sizing) left() int { return min(s.max, MaxChanges-(s.sum+1)/2) }

func (s *sizing) add(result ledger.Result) {
	for _, j := range result.Jobs {
		s.count(jobRow(j))
	}
	for _, r := range result.Runners {
		s.count(runnerRow(r))
	}
}

func (s *sizing) count(r row) {
	if s.items == nil {
		s.items = map[string]int{}
	}
	n := 1
	if was := s.at(r.name); was != "" && was != r.partition {
		n = 2
	}
	s.sum += n - s.items[r.name]
	s.items[r.name] = n
}

// load gives state what ins are about and is not open, and returns it as it is kept.
func (l *Ledger) load(ctx context.Context, state *ledger.State, ins []ledger.Input) (found map[string]row, err error) {
	var names []string
	sweep := false
	for _, in := range ins {
		jobs, runners := state.Missing(in)
		for _, key := range jobs {
			names = append(names, jobName(key))
		}
		for _, name := range runners {
			names = append(names, runnerName(name))
		}
		if _, tick := in.(ledger.Tick); tick {
			sweep = true
		}
	}
	if found, err = l.readFinished(ctx, names); err != nil {
		return nil, err
	}
	if sweep && !l.checked {
		if err := l.readUnroutable(ctx, found); err != nil {
			return nil, err
		}
	}
	for _, r := range found {
		r.loadInto(state)
	}
	return found, nil
}
