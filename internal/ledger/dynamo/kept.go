package dynamo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// kept is all that is open as of one version, and the state that it makes.
type kept struct {
	head head
	rows map[string]row // by name; nil before anything was read
	made *ledger.State  // of rows; nil when it is to be made anew
}

// give adds r to a state.
func (r row) give(s *ledger.State) {
	switch {
	case r.fault != nil:
		s.SetAside(ledger.Unreadable{Row: r.name, Reason: r.fault.Error()})
	case r.runner.Name != "":
		s.Load(nil, []ledger.Runner{r.runner})
	default:
		s.Load([]ledger.Job{r.job}, nil)
	}
}

// state returns the state of what is kept.
func (k *kept) state(limits ledger.Limits) *ledger.State {
	if k.made == nil {
		k.made = k.copy(limits)
	}
	return k.made
}

func (k *kept) copy(limits ledger.Limits) *ledger.State {
	s := ledger.NewState(k.head.instance, limits)
	for _, r := range k.rows {
		r.give(s)
	}
	return s
}

// A write is one version: what replaces what.
type write struct {
	head    head           // the new one
	before  map[string]row // what is replaced, by name
	after   []row
	effects []ledger.Effect
	now     time.Time
}

// write returns the version that result makes of k; found are the rows that it may rest on
// beside those of k.
func (k *kept) write(found map[string]row, result ledger.Result) write {
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

// placeOf returns where the row called name lies, in k or in found; "" for nowhere.
func (k *kept) placeOf(name string, found map[string]row) string {
	if r, open := k.rows[name]; open {
		return r.place
	}
	return found[name].place
}

// sequence is where the i-th of a version's rows stands in lists.
func sequence(version uint64, i int) uint64 { return version*1000 + uint64(i) }

// put makes rows those of w's version.
func (w write) put(rows map[string]row) {
	for _, r := range w.after {
		if delete(rows, r.name); r.place == partOpen {
			rows[r.name] = r
		}
	}
}

// take makes k what w has written. The state has it already.
func (k *kept) take(w write) {
	w.put(k.rows)
	k.head = w.head
}

// refresh brings what is kept in memory to the newest version.
func (l *Ledger) refresh(ctx context.Context) error {
	if l.kept.rows == nil {
		return l.read(ctx)
	}
	it, err := l.table.get(ctx, keyOf(partOpen, sortHead))
	if err != nil {
		return err
	}
	now := headOf(it)
	if now == l.kept.head {
		return nil
	}
	l.kept.made = nil
	if ok, err := l.catchUp(ctx, now); ok || err != nil {
		return err
	}
	return l.read(ctx)
}

// read reads all that is open. While others write, what is read may be of no one
// version: then it is read again.
func (l *Ledger) read(ctx context.Context) error {
	k := kept{rows: map[string]row{}}
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
	l.kept = k
	return nil
}

// maxBehind is how many versions are caught up with; beyond, reading all is cheaper.
const maxBehind = 100

// catchUp brings what is kept to the version of now by the log, and reports whether
// that was possible.
func (l *Ledger) catchUp(ctx context.Context, now head) (bool, error) {
	if now.version <= l.kept.head.version || now.version-l.kept.head.version > maxBehind || now.instance != l.kept.head.instance {
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
	rows := maps.Clone(l.kept.rows)
	for name := range names {
		if delete(rows, name); fresh[name].name != "" {
			rows[name] = fresh[name]
		}
	}
	if now.sum != sum(rows) { // somebody has written meanwhile
		return false, nil
	}
	l.kept = kept{head: now, rows: rows}
	return true, nil
}

// written returns the names of the rows that were written since the version that is kept, up to version;
// not ok when the log has a gap.
func (l *Ledger) written(ctx context.Context, version uint64) (names map[string]bool, ok bool, err error) {
	names = map[string]bool{}
	next := l.kept.head.version + 1
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
