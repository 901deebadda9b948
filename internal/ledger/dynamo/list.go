package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Snapshot implements [ledger.Store].
func (l *Ledger) Snapshot(ctx context.Context) (*ledger.State, error) {
	release, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := retry(ctx, func() error { return l.refresh(ctx) }); err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return l.cache.build(l.config.Limits), nil
}

// Jobs implements [ledger.Store]. Lists of more than the open jobs come from an index, which is
// eventually consistent, about a second behind.
func (l *Ledger) Jobs(ctx context.Context, q ledger.JobQuery) ([]ledger.Job, error) {
	s := selection{index: IndexNewest, hash: KeyKind, value: kindJob}
	if q.Open {
		s = partition(partOpen)
		s.prefix = prefixJob
	}
	p := page[ledger.Job]{of: func(r row) ledger.Job { return r.job }, match: q.Picks, limit: q.Limit}
	if !q.Key.IsZero() {
		p.name = jobName(q.Key)
	}
	if !q.After.IsZero() {
		p.after = jobName(q.After)
	}
	return read(ctx, l, s, p)
}

// Runners implements [ledger.Store]. Lists of more than the live runners come from an index, which
// is eventually consistent, about a second behind.
func (l *Ledger) Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error) {
	match := func(r ledger.Runner) bool {
		_, known := r.Outcome()
		return (!q.Live || r.Live()) && (q.Job.IsZero() || r.MadeFor == q.Job) && (q.Image == "" || known && r.Image == q.Image)
	}
	s := selection{index: IndexNewest, hash: KeyKind, value: kindRunner}
	switch {
	case q.Live:
		s = partition(partOpen)
		s.prefix = prefixRunner
	case !q.Job.IsZero():
		s = selection{index: IndexJob, hash: KeyMadeFor, value: q.Job.String()}
	case q.Image != "":
		s = selection{index: IndexImage, hash: KeyImage, value: q.Image}
	}
	p := page[ledger.Runner]{of: func(r row) ledger.Runner { return r.runner }, match: match, limit: q.Limit}
	if q.Name != "" {
		p.name = runnerName(q.Name)
	}
	if q.After != "" {
		p.after = runnerName(q.After)
	}
	return read(ctx, l, s, p)
}

// A page selects a part of a list of jobs or runners.
type page[T any] struct {
	name  string // only the row of this name; "" for any
	after string // only rows listed after the one of this name; "" from the newest on
	of    func(row) T
	match func(T) bool
	limit int
}

// read returns page p of the selection s.
func read[T any](ctx context.Context, l *Ledger, s selection, p page[T]) (list []T, err error) {
	if p.name != "" {
		list, err = p.single(ctx, l)
	} else {
		list, err = p.list(ctx, l, s)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return list, nil
}

// single returns the row of p's name if it matches.
func (p page[T]) single(ctx context.Context, l *Ledger) ([]T, error) {
	r, err := l.row(ctx, p.name)
	if err != nil {
		return nil, err
	}
	if v := p.of(r); r.fault != nil {
		return nil, r.fault
	} else if p.match(v) {
		return []T{v}, nil
	}
	return nil, fmt.Errorf("%s: %w", p.name, ledger.ErrNotFound)
}

// row returns the row called name from whichever partition has it.
func (l *Ledger) row(ctx context.Context, name string) (row, error) {
	var where []item
	for _, part := range partitionsOf(name) {
		where = append(where, keyOf(part, name))
	}
	found, err := l.rows(ctx, where)
	if err == nil && found[name].name == "" {
		err = fmt.Errorf("%s: %w", name, ledger.ErrNotFound)
	}
	return found[name], err
}

// list returns the matches of s, newest first. An index is in that order. The open partition is
// not, so all of it is read, as for every input.
func (p page[T]) list(ctx context.Context, l *Ledger, s selection) (list []T, err error) {
	below := uint64(0)
	if p.after != "" {
		last, err := l.row(ctx, p.after)
		if err != nil {
			return nil, err
		}
		below = last.seq
	}
	if s.index != "" {
		s.below = below
	}
	limit := cmp.Or(p.limit, ledger.DefaultLimit)
	var rows []row
	seen := map[string]bool{} // a row that moves may be in an index twice
	err = l.table.query(ctx, s, func(it item) (bool, error) {
		r := rowOf(it)
		if r.fault == nil && !seen[r.name] && (below == 0 || r.seq < below) && p.match(p.of(r)) {
			rows, seen[r.name] = append(rows, r), true
		}
		return s.index == "" || len(rows) < limit, nil
	})
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.seq, a.seq) })
	for _, r := range rows[:min(limit, len(rows))] {
		list = append(list, p.of(r))
	}
	return list, err
}
