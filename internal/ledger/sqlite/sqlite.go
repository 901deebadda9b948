// Package sqlite keeps the ledger of one machine in its SQLite file, next to the bus's events:
// changes and the events that follow from them commit together.
//
// Unsettled jobs and live runners are also in memory, so that an input needs no query; finished
// ones are read when an input names them.
package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Config configures a [Ledger].
type Config struct {
	Limits ledger.Limits

	// Emit passes effects on, inside the transaction of the changes they follow from: after an
	// error neither is kept. It is called by the writer's goroutine, one call at a time.
	Emit func(tx *disk.Tx, effects []ledger.Effect) error

	Clock    clock.Clock   // the machine's; [clock.System] if zero
	Keep     time.Duration // how long settled jobs and gone runners are kept; 0 means [ledger.DefaultKeep]
	Instance string        // name of a new ledger; random if empty
}

// A Ledger is a [ledger.Store] in a [disk.DB].
type Ledger struct {
	*Reader
	config   Config
	instance string

	// The goroutine that runs writes owns the fields below ([disk.DB.Write]).

	state           *ledger.State // nil if it has to be read again
	tx              *disk.Tx      // the transaction with the last changes of state, until it commits
	limitsPublished bool          // readers see the limits of state
	mark            clock.Mark    // of the clock by which the deadlines of state are set
	pruned          time.Time     // when old rows were last deleted
}

// Open returns the ledger stored in db, or begins one, and sweeps it once: time has passed, and the
// limits may have changed.
func Open(ctx context.Context, db *disk.DB, c Config) (*Ledger, error) {
	if c.Clock.Now == nil {
		c.Clock = clock.System()
	}
	if c.Keep == 0 {
		c.Keep = ledger.DefaultKeep
	}
	if err := db.Migrate(ctx, "ledger", schema); err != nil {
		return nil, err
	}
	l := &Ledger{Reader: NewReader(db), config: c}
	l.limits.Store(&c.Limits)
	if err := db.Write(ctx, l.begin); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	// On a full disk the ledger opens nevertheless: the runners that it removes may be what fills
	// the disk, and the next tick decides what this one could not.
	if _, err := l.Apply(ctx, ledger.Tick{}); err != nil && !errors.Is(err, disk.ErrFull) {
		return nil, fmt.Errorf("sweeping the ledger: %w", err)
	}
	return l, nil
}

// SetLimits puts other limits in force, like opening the ledger again with them: before it returns,
// it decides what they change for open jobs.
func (l *Ledger) SetLimits(ctx context.Context, limits ledger.Limits) error {
	err := l.db.Write(ctx, func(*disk.Tx) error {
		l.limits.Store(&limits)
		// Totals depend on the limits (where runners register), so the state is built again.
		l.state, l.tx = nil, nil
		return nil
	})
	if err == nil {
		_, err = l.Apply(ctx, ledger.Tick{})
	}
	if err != nil {
		return fmt.Errorf("changing the ledger's limits: %w", err)
	}
	return nil
}

// publishLimits stores the limits in force for readers, with the first input after a change.
func (l *Ledger) publishLimits(tx *disk.Tx) error {
	if l.limitsPublished {
		return nil
	}
	body, err := json.Marshal(l.limits.Load())
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO ledger_limits (one, body) VALUES (1, ?)
		ON CONFLICT (one) DO UPDATE SET body = excluded.body WHERE body <> excluded.body`, body)
	l.limitsPublished = err == nil
	return err
}

// begin reads the instance, or chooses it.
func (l *Ledger) begin(tx *disk.Tx) error {
	name := l.config.Instance
	if name == "" {
		name = strings.ToLower(rand.Text()[:6])
	}
	if _, err := tx.Exec(`INSERT INTO ledger_instance (one, name) VALUES (1, ?) ON CONFLICT DO NOTHING`, name); err != nil {
		return err
	}
	return tx.QueryRow(`SELECT name FROM ledger_instance`).Scan(&l.instance)
}

// Instance returns the prefix of all runner names.
func (l *Ledger) Instance() string { return l.instance }

// Apply implements [ledger.Store].
func (l *Ledger) Apply(ctx context.Context, in ledger.Input) (ledger.Result, error) {
	results, err := l.ApplyAll(ctx, []ledger.Input{in})
	if err != nil {
		return ledger.Result{}, err
	}
	return results[0], nil
}

// ApplyAll implements [ledger.Store]. All inputs are in one transaction: their results are all or none.
func (l *Ledger) ApplyAll(ctx context.Context, ins []ledger.Input) (results []ledger.Result, err error) {
	if len(ins) == 0 {
		return nil, nil
	}
	err = l.db.Write(ctx, func(tx *disk.Tx) error {
		results, err = l.apply(tx, ins)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: applying %T: %w", ins[0], err)
	}
	return results, nil
}

// apply applies ins inside tx. After an error the state is read again.
func (l *Ledger) apply(tx *disk.Tx, ins []ledger.Input) (results []ledger.Result, err error) {
	defer func() {
		if err != nil {
			l.state, l.tx = nil, nil
		}
	}()
	if err := l.syncState(tx); err != nil {
		return nil, err
	}
	now, mark := l.config.Clock.Read()
	if err := l.followClock(tx, now, mark); err != nil {
		return nil, err
	}
	if err := l.publishLimits(tx); err != nil {
		return nil, err
	}
	sweep := false
	for _, in := range ins {
		if err := l.load(tx, in); err != nil {
			return nil, err
		}
		results = append(results, l.state.Apply(in, now))
		if _, tick := in.(ledger.Tick); tick {
			sweep = true
		}
	}
	if err := l.store(tx, ledger.Merge(results), now); err != nil {
		return nil, err
	}
	if sweep {
		if err := l.prune(tx, now); err != nil {
			return nil, err
		}
	}
	l.state.Compact()
	return results, nil
}

// followClock moves deadlines if the clock was stepped, and stores its mark together with them.
func (l *Ledger) followClock(tx *disk.Tx, now time.Time, mark clock.Mark) error {
	if by := l.mark.Step(mark); by != 0 {
		if err := l.store(tx, l.state.Apply(ledger.Stepped{By: by}, now), now); err != nil {
			return err
		}
	}
	if !l.mark.Worth(mark) {
		return nil
	}
	_, err := tx.Exec(`UPDATE ledger_instance SET boot = ?, ahead = ?`, mark.Boot, mark.Ahead)
	l.mark = mark
	return err
}

// syncState makes the state in memory the one that tx sees. They differ if the last transaction was
// rolled back: then the state is read again.
func (l *Ledger) syncState(tx *disk.Tx) (err error) {
	if l.state == nil || l.tx != nil && l.tx != tx {
		l.state, err = l.read(tx)
	}
	if l.tx != tx {
		l.tx = tx
		tx.OnCommit(func() { l.tx = nil })
	}
	return err
}

// read reads the state as tx sees it, plus the unroutable and hosted jobs that may have a pool by
// now.
func (l *Ledger) read(tx *disk.Tx) (*ledger.State, error) {
	l.limitsPublished = false // the transaction that stored them may have been rolled back
	rows, err := tx.Query(selectState)
	if err != nil {
		return nil, err
	}
	state, bad, err := scanState(rows, l.limits.Load())
	if err != nil {
		return nil, err
	}
	if err := tx.QueryRow(`SELECT boot, ahead FROM ledger_instance`).Scan(&l.mark.Boot, &l.mark.Ahead); err != nil {
		return nil, err
	}
	if err := l.putAside(tx, state, bad); err != nil {
		return nil, err
	}
	since := l.config.Clock.Now().Add(-state.Limits().Queue).UnixMilli()
	jobs, err := find[ledger.Job](l, tx, state, "ledger_jobs", `NOT open AND changed > ? AND state IN (?, ?)`,
		since, string(ledger.JobUnroutable), string(ledger.JobHosted))
	state.Load(jobs, nil)
	return state, err
}

// load reads what in names and the state does not have.
func (l *Ledger) load(tx *disk.Tx, in ledger.Input) error {
	keys, names := l.state.Missing(in)
	for _, key := range keys {
		jobs, err := find[ledger.Job](l, tx, l.state, "ledger_jobs", number+` = ?`, key.Number())
		if err != nil {
			return err
		}
		l.state.Load(jobs, nil)
	}
	for _, name := range names {
		runners, err := find[ledger.Runner](l, tx, l.state, "ledger_runners", `name = ?`, string(name))
		if err != nil {
			return err
		}
		l.state.Load(nil, runners)
	}
	return nil
}

// find reads the rows of table that meet a condition, as tx sees them, and sets unreadable ones
// aside.
func find[T any](l *Ledger, tx *disk.Tx, state *ledger.State, table, condition string, args ...any) ([]T, error) {
	rows, err := tx.Query(`SELECT `+keys[table]+`, body FROM `+table+` WHERE `+condition, args...)
	if err != nil {
		return nil, err
	}
	list, bad, err := scan[T](rows, table)
	if err != nil {
		return nil, err
	}
	return list, l.putAside(tx, state, bad)
}

// putAside moves unreadable rows out of the way and records them in state.
func (l *Ledger) putAside(tx *disk.Tx, state *ledger.State, bad []broken) error {
	for _, b := range bad {
		state.SetAside(b.unreadable())
	}
	return setAside(tx, bad, l.config.Clock.Now().UnixMilli())
}

// store writes the changes and emits the effects.
func (l *Ledger) store(tx *disk.Tx, result ledger.Result, now time.Time) error {
	for _, j := range result.Jobs {
		if err := keepJob(tx, j, now); err != nil {
			return err
		}
	}
	for _, r := range result.Runners {
		if err := keepRunner(tx, r, now); err != nil {
			return err
		}
	}
	if len(result.Effects) == 0 {
		return nil
	}
	if err := l.config.Emit(tx, result.Effects); err != nil {
		return fmt.Errorf("emitting %d effects: %w", len(result.Effects), err)
	}
	return nil
}

func keepJob(tx *disk.Tx, j ledger.Job, now time.Time) error {
	body, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("job %s: %w", j.Key, err)
	}
	conclusion := ""
	if j.State == ledger.JobCompleted {
		conclusion = j.Conclusion
	}
	_, err = tx.Exec(`INSERT INTO ledger_jobs (key, open, state, changed, repository, pool, conclusion, searched, created, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET open = excluded.open, state = excluded.state, changed = excluded.changed, repository = excluded.repository,
			pool = excluded.pool, conclusion = excluded.conclusion, searched = excluded.searched, created = excluded.created, body = excluded.body`,
		j.Key.String(), !j.Settled(), string(j.State), now.UnixMilli(), ledger.Lower(j.Scope.Repository), j.Pool, conclusion, j.Searched(), j.Created.UnixMilli(), body)
	return err
}

func keepRunner(tx *disk.Tx, r ledger.Runner, now time.Time) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("runner %s: %w", r.Name, err)
	}
	var image any
	if _, known := r.Outcome(); known {
		image = r.Image
	}
	_, err = tx.Exec(`INSERT INTO ledger_runners (name, live, job, image, changed, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET live = excluded.live, job = excluded.job, image = excluded.image, changed = excluded.changed, body = excluded.body`,
		string(r.Name), r.Live(), r.MadeFor.String(), image, now.UnixMilli(), body)
	return err
}

const (
	pruneEvery = time.Hour
	pruneMost  = 1000 // rows per table at once, so that other writes do not wait
)

// prune deletes expired rows, about every pruneEvery.
func (l *Ledger) prune(tx *disk.Tx, now time.Time) error {
	if now.Sub(l.pruned) < pruneEvery {
		return nil
	}
	before := now.Add(-l.config.Keep).UnixMilli()
	if _, err := tx.Exec(`DELETE FROM ledger_unreadable WHERE changed < ?`, before); err != nil {
		return err
	}
	jobs, err := tx.Exec(`DELETE FROM ledger_jobs WHERE seq IN (SELECT seq FROM ledger_jobs WHERE NOT open AND changed < ? LIMIT ?)`, before, pruneMost)
	if err != nil {
		return err
	}
	runners, err := tx.Exec(`DELETE FROM ledger_runners WHERE seq IN (SELECT seq FROM ledger_runners WHERE NOT live AND changed < ? LIMIT ?)`, before, pruneMost)
	if err == nil && jobs < pruneMost && runners < pruneMost { // or else the next sweep continues
		l.pruned = now
	}
	return err
}
