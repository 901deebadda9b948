package dynamo

import (
	"context"
	"fmt"
	"iter"
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
	w.head.sum = k.sumWith(w.after)
	return w
}

// sumWith returns the sum of the open rows once those of fresh, which have different names, have replaced
// theirs.
func (k *cache) sumWith(fresh []row) uint64 {
	total := k.head.sum
	for _, r := range fresh {
		if old, open := k.rows[r.name]; open {
			total -= old.digest()
		}
		if r.partition == partOpen {
			total += r.digest()
		}
	}
	return total
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

// advance updates k to the version of h, in which the rows of fresh have replaced theirs. The state
// that was built does not follow: see show.
func (k *cache) advance(h head, fresh []row) {
	for _, r := range fresh {
		if delete(k.rows, r.name); r.partition == partOpen {
			k.rows[r.name] = r
		}
	}
	k.head = h
}

// show has the state in memory follow the rows called names, as k has them now. That takes as long as
// they are many, where building it anew takes as long as everything open.
func (k *cache) show(names iter.Seq[string]) {
	for name := range names {
		r, open := k.rows[name]
		switch {
		case k.built == nil:
			return
		case r.fault != nil || !open && !drop(k.built, name):
			k.built = nil // it has set aside what could not be read
		case open:
			r.loadInto(k.built)
		}
	}
}

// drop removes from s what the row called name is about, and reports whether its name says that.
func drop(s *ledger.State, name string) bool {
	if runner, ok := strings.CutPrefix(name, prefixRunner); ok {
		s.Drop(nil, []ledger.RunnerName{ledger.RunnerName(runner)})
		return true
	}
	key, err := ledger.ParseJobKey(strings.TrimPrefix(name, prefixJob))
	if err == nil {
		s.Drop([]ledger.JobKey{key}, nil)
	}
	return err == nil
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
	var changed []row
	faulty := false
	for name := range names {
		r := fresh[name]
		r.name = name // those that are not open any longer have no more than that
		changed, faulty = append(changed, r), faulty || l.cache.rows[name].fault != nil
	}
	if now.sum != l.cache.sumWith(changed) { // another process has written meanwhile
		return false, nil
	}
	if faulty {
		l.cache.built = nil
	}
	l.cache.advance(now, changed)
	l.cache.show(maps.Keys(names))
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
