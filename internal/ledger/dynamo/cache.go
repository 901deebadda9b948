package dynamo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A cache is everything open as of one version, and the state built from it.
type cache struct {
	head  head
	rows  map[string]row // by name; nil before the first read
	built *ledger.State  // the state of rows; nil if it has to be built again
}

// loadInto adds r to a state.
func (r row) loadInto(s *ledger.State) {
	switch {
	case r.fault != nil:
		s.SetAside(ledger.Unreadable{Row: r.name, Reason: r.fault.Error()})
	case r.runner.Name != "":
		s.Load(nil, []ledger.Runner{r.runner})
	default:
		s.Load([]ledger.Job{r.job}, nil)
	}
}

// state returns the state of the cached rows.
func (k *cache) state(limits ledger.Limits) *ledger.State {
	if k.built == nil {
		k.built = k.build(limits)
	}
	return k.built
}

// build returns a new state of the cached rows.
func (k *cache) build(limits ledger.Limits) *ledger.State {
	s := ledger.NewState(k.head.instance, limits)
	for _, r := range k.rows {
		r.loadInto(s)
	}
	return s
}

// A write is one version: the rows it writes and those they replace.
type write struct {
	head    head           // of the new version
	before  map[string]row // the replaced rows, by name
	after   []row
	effects []ledger.Effect
	now     time.Time
}

// write returns the version after k's with the changes of result. Found are rows outside the cache
// that may be replaced.
func (k *cache) write(found map[string]row, result ledger.Result) write {
	w := write{head: head{version: k.head.version + 1, instance: k.head.instance}, before: map[string]row{}}
	for _, j := range result.Jobs {
		w.after = append(w.after, jobRow(j))
	}
	for _, r := range result.Runners {
		w.after = append(w.after, runnerRow(r))
	}
	for i := range w.after {
		r := &w.after[i]
		old, ok := k.rows[r.name]
		if !ok {
			old, ok = found[r.name]
		}
		// A row keeps the sequence of its first write, so that lists do not reorder.
		r.version, r.seq = w.head.version, sequence(w.head.version, i)
		if ok {
			w.before[r.name], r.seq = old, old.seq
		}
	}
	rows := maps.Clone(k.rows)
	w.put(rows)
	w.head.sum = sum(rows)
	return w
}

// partitionOf returns the partition of the row called name, which is in k or in found; "" if it is in neither.
func (k *cache) partitionOf(name string, found map[string]row) string {
	if r, open := k.rows[name]; open {
		return r.partition
	}
	return found[name].partition
}

// sequence returns the position in lists of a version's i-th row. A version has far fewer than 1000
// rows: a transaction takes 100 items.
func sequence(version uint64, i int) uint64 { return version*1000 + uint64(i) }

// put updates rows, the open rows of the previous version, to those of w.
func (w write) put(rows map[string]row) {
	for _, r := range w.after {
		if delete(rows, r.name); r.partition == partOpen {
			rows[r.name] = r
		}
	}
}

// advance updates k to the version that w wrote. The state in memory has its changes already.
func (k *cache) advance(w write) {
	w.put(k.rows)
	k.head = w.head
}

// refresh updates the cache to the newest version.
func (l *Ledger) refresh(ctx context.Context) error {
	if l.cache.rows == nil {
		return l.read(ctx)
	}
	it, err := l.table.get(ctx, keyOf(partOpen, sortHead))
	if err != nil {
		return err
	}
	now := headOf(it)
	// The head identifies a version by number, instance and sum. A table that was deleted and
	// created again thus never passes for the old one.
	if now == l.cache.head {
		return nil
	}
	l.cache.built = nil
	if ok, err := l.catchUp(ctx, now); ok || err != nil {
		return err
	}
	return l.read(ctx)
}

// read reads everything open. A query is not a snapshot: if others write meanwhile, the rows may
// belong to no single version. Their sum then differs from the head's, and the read is repeated.
func (l *Ledger) read(ctx context.Context) error {
	k := cache{rows: map[string]row{}}
	err := l.table.query(ctx, partition(partOpen), func(it item) (bool, error) {
		if textOf(it, KeySort) == sortHead {
			k.head = headOf(it)
			return true, nil
		}
		r := rowOf(it)
		k.rows[r.name] = r
		return true, nil
	})
	switch {
	case err != nil:
		return err
	case k.head.sum != sum(k.rows):
		return fmt.Errorf("reading version %d: %w", k.head.version, errConflict)
	case k.head.version == 0:
		k.head.instance = newInstance()
	}
	l.cache = k
	return nil
}

// maxBehind is how many versions are caught up with by the log; beyond it, reading everything is
// cheaper.
const maxBehind = 100

// catchUp updates the cache to the version of now by the log, and reports whether that was
// possible.
func (l *Ledger) catchUp(ctx context.Context, now head) (bool, error) {
	if now.version <= l.cache.head.version || now.version-l.cache.head.version > maxBehind || now.instance != l.cache.head.instance {
		return false, nil
	}
	names, ok, err := l.written(ctx, now.version)
	if err != nil || !ok {
		return false, err
	}
	var where []item
	for name := range names {
		where = append(where, keyOf(partOpen, name))
	}
	fresh, err := l.rows(ctx, where)
	if err != nil {
		return false, err
	}
	rows := maps.Clone(l.cache.rows)
	for name := range names {
		if delete(rows, name); fresh[name].name != "" {
			rows[name] = fresh[name]
		}
	}
	if now.sum != sum(rows) { // another process has written meanwhile
		return false, nil
	}
	l.cache = cache{head: now, rows: rows}
	return true, nil
}

// written returns the names of the rows written after the cached version, up to version. It is not
// ok if the log has a gap, because entries expire.
func (l *Ledger) written(ctx context.Context, version uint64) (names map[string]bool, ok bool, err error) {
	names = map[string]bool{}
	next := l.cache.head.version + 1
	s := partition(partLog)
	s.from = byVersion(next)
	err = l.table.query(ctx, s, func(it item) (bool, error) {
		if textOf(it, KeySort) != byVersion(next) {
			return false, nil
		}
		for name := range strings.SplitSeq(textOf(it, attrNames), "\n") {
			names[name] = true
		}
		next++
		return next <= version, nil
	})
	return names, next > version, err
}
