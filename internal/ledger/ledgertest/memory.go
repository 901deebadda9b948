package ledgertest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Memory is a [ledger.Store] in memory that keeps what a disk would hold: the JSON of each job
// and runner. It is the simplest store possible, to compare others with and to drive the ledger
// with.
type Memory struct {
	config Config
	mu     sync.Mutex
	state  *ledger.State // guarded by mu
	kept   *Kept         // guarded by mu
}

// Kept is the data that one [Memory] leaves to the next.
type Kept struct {
	jobs    table
	runners table
}

// A table is rows in the order of their first write.
type table struct {
	names []string
	rows  map[string][]byte
	open  map[string]bool // those that belong to the state
}

func (t *table) put(name string, v any, open bool) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // jobs and runners have a JSON form
	}
	if t.rows == nil {
		t.rows, t.open = map[string][]byte{}, map[string]bool{}
	}
	if _, ok := t.rows[name]; !ok {
		t.names = append(t.names, name)
	}
	t.rows[name] = body
	if delete(t.open, name); open {
		t.open[name] = true
	}
}

// get returns the row called name, as a list of one or none.
func get[T any](t *table, name string) []T {
	body, ok := t.rows[name]
	if !ok {
		return nil
	}
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		panic(err)
	}
	return []T{v}
}

// list returns the matches after the row called after, newest first.
func list[T any](t *table, after string, limit int, match func(T) bool) (found []T) {
	from := len(t.names)
	if after != "" {
		from = slices.Index(t.names, after)
	}
	for i := from - 1; i >= 0 && len(found) < limit; i-- {
		if v := get[T](t, t.names[i])[0]; match(v) {
			found = append(found, v)
		}
	}
	return found
}

// NewMemory returns a store of the data in kept.
func NewMemory(kept *Kept, c Config) *Memory {
	m := &Memory{config: c, kept: kept}
	m.state = m.read()
	return m
}

// read builds the state again.
func (m *Memory) read() *ledger.State {
	s := ledger.NewState("mem", m.config.Limits)
	for name := range m.kept.jobs.open {
		s.Load(get[ledger.Job](&m.kept.jobs, name), nil)
	}
	for name := range m.kept.runners.open {
		s.Load(nil, get[ledger.Runner](&m.kept.runners, name))
	}
	return s
}

// Apply implements [ledger.Store].
func (m *Memory) Apply(ctx context.Context, in ledger.Input) (ledger.Result, error) {
	results, err := m.ApplyAll(ctx, []ledger.Input{in})
	if err != nil {
		return ledger.Result{}, err
	}
	return results[0], nil
}

// ApplyAll implements [ledger.Store].
func (m *Memory) ApplyAll(_ context.Context, ins []ledger.Input) (results []ledger.Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		if err != nil {
			results, m.state = nil, m.read()
		}
	}()
	now := m.config.Now()
	for _, in := range ins {
		m.load(in)
		results = append(results, m.state.Apply(in, now))
	}
	all := ledger.Merge(results)
	if len(all.Effects) > 0 {
		if err := m.config.Emit(all.Effects); err != nil {
			return nil, err
		}
	}
	commit := func() error { m.keep(all); return nil }
	if m.config.Commit != nil {
		err = m.config.Commit(commit)
	} else {
		err = commit()
	}
	m.state.Compact()
	return results, err
}

// load gives the state what in is about and it does not have.
func (m *Memory) load(in ledger.Input) {
	keys, names := m.state.Missing(in)
	for _, key := range keys {
		m.state.Load(list(&m.kept.jobs, "", 1, func(j ledger.Job) bool { return j.Key.Number() == key.Number() }), nil)
	}
	for _, name := range names {
		m.state.Load(nil, get[ledger.Runner](&m.kept.runners, string(name)))
	}
}

func (m *Memory) keep(result ledger.Result) {
	for _, j := range result.Jobs {
		m.kept.jobs.put(j.Key.String(), j, !j.Settled())
	}
	for _, r := range result.Runners {
		m.kept.runners.put(string(r.Name), r, r.Live())
	}
}

// Snapshot implements [ledger.Store].
func (m *Memory) Snapshot(context.Context) (*ledger.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read(), nil
}

// State returns the state itself, for tests that inspect it after every step.
func (m *Memory) State() *ledger.State { return m.state }

// Jobs implements [ledger.Store].
func (m *Memory) Jobs(_ context.Context, q ledger.JobQuery) ([]ledger.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := ""
	if !q.After.IsZero() {
		after = q.After.String()
	}
	found := list(&m.kept.jobs, after, cmp.Or(q.Limit, ledger.DefaultLimit), func(j ledger.Job) bool {
		return (q.Key.IsZero() || j.Key == q.Key) && q.Picks(j)
	})
	if len(found) == 0 && !q.Key.IsZero() {
		return nil, fmt.Errorf("job %s: %w", q.Key, ledger.ErrNotFound)
	}
	return found, nil
}

// Runners implements [ledger.Store].
func (m *Memory) Runners(_ context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := list(&m.kept.runners, string(q.After), cmp.Or(q.Limit, ledger.DefaultLimit), func(r ledger.Runner) bool {
		_, known := r.Outcome()
		return (q.Name == "" || r.Name == q.Name) && (!q.Live || r.Live()) && (q.Job.IsZero() || r.MadeFor == q.Job) &&
			(q.Image == "" || known && r.Image == q.Image)
	})
	if len(found) == 0 && q.Name != "" {
		return nil, fmt.Errorf("runner %s: %w", q.Name, ledger.ErrNotFound)
	}
	return found, nil
}

var _ ledger.Store = (*Memory)(nil)
