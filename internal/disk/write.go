package disk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// maxBatch is how many writes share a transaction at most, so that the first
// of them does not wait long for the last.
const maxBatch = 256

// Write runs f in a transaction and returns nil only when what f wrote is
// committed and fsynced. Writes that come in while others are under way share
// their transaction and its fsync, so many small writes at once are cheap. The
// fs of a DB run one after another, each once, in the order of their coming,
// and see what those before them wrote.
//
// When f returns an error, what it wrote is undone, nobody else's is, and Write
// returns that error. When ctx ends before f was begun, f is not run at all and
// Write returns ctx's error; after that Write stays for the outcome, because a
// commit is short and an answer given before it would be a guess. After any
// other error than these, such as of a commit that could not be fsynced, what f
// wrote is gone for those who read now, but a crash may bring it back.
//
// f must not call Write, must close the rows it queries, and must not keep tx.
func (db *DB) Write(ctx context.Context, f func(tx *Tx) error) error {
	if db.write == nil {
		return ErrReadOnly
	}
	return db.write.do(ctx, f)
}

// A writer owns the one connection that writes, and runs all writes on it in
// one goroutine.
type writer struct {
	conn   *sql.Conn
	close  func() error
	commit func(commit func() error) error
	stmts  statements

	mu     sync.Mutex
	queue  []*write      // guarded by mu; writes that are not begun
	closed bool          // guarded by mu
	wake   chan struct{} // holds one token while queue or closed has news
}

// A write is one call of [DB.Write].
type write struct {
	f     func(*Tx) error
	err   error         // set before done is closed
	done  chan struct{} // closed when the outcome is known
	begun bool          // guarded by writer.mu; f may have run
}

func startWriter(path string, o Options) (*writer, error) {
	// The log is folded into the file every 2,000 pages (16 MiB), and does not stay longer than
	// twice that after a large transaction. The driver sorts these by their names: what needs an
	// order is in form.
	pragmas := []string{"synchronous(full)", "wal_autocheckpoint(2000)", "journal_size_limit(33554432)"}
	db, err := sql.Open("sqlite", source(path, pragmas...))
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, errors.Join(Explain(err), db.Close())
	}
	w := &writer{conn: conn, commit: o.Commit, wake: make(chan struct{}, 1)}
	if w.commit == nil {
		w.commit = func(commit func() error) error { return commit() }
	}
	err = w.form(context.Background())
	if err == nil {
		err = w.limit(context.Background(), o.MaxBytes)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run()
	}()
	w.close = func() error {
		w.stop()
		<-ended
		return errors.Join(w.stmts.close(), conn.Close(), db.Close())
	}
	return w, nil
}

// do queues f and waits for its outcome.
func (w *writer) do(ctx context.Context, f func(*Tx) error) error {
	one := &write{f: f, done: make(chan struct{})}
	if err := w.enqueue(ctx, one); err != nil {
		return err
	}
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
	}
	if w.withdraw(one) {
		return ctx.Err()
	}
	<-one.done
	return one.err
}

func (w *writer) enqueue(ctx context.Context, one *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.queue = append(w.queue, one)
	w.signal()
	return nil
}

// withdraw reports whether one will not be run.
func (w *writer) withdraw(one *write) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.begun {
		return false
	}
	for i, queued := range w.queue {
		if queued == one {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
		}
	}
	return true
}

// stop lets run end when the queue is empty.
func (w *writer) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next takes the next write to be run; nil when there is none.
func (w *writer) next() (one *write, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil, w.closed
	}
	one = w.queue[0]
	w.queue[0], w.queue = nil, w.queue[1:]
	one.begun = true
	return one, false
}

// run runs writes until the writer is stopped.
func (w *writer) run() {
	for {
		one, closed := w.next()
		switch {
		case one != nil:
			w.batch(one)
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// batch runs first and those that queue up meanwhile in one transaction.
func (w *writer) batch(first *write) {
	tx := &Tx{w: w}
	var joined []*write // those that wait for the commit
	err := tx.exec("BEGIN IMMEDIATE")
	for one := first; one != nil; one, _ = w.next() {
		if err == nil {
			one.err, err = tx.run(one.f)
		}
		if one.err != nil && err == nil {
			close(one.done) // it has left nothing that a commit could change
			continue
		}
		joined = append(joined, one)
		if err != nil || len(joined) == maxBatch {
			break
		}
	}
	if err == nil && len(joined) > 0 {
		err = w.commit(func() error { return tx.exec("COMMIT") })
	}
	if err != nil || len(joined) == 0 {
		// An error here means that SQLite has rolled back by itself.
		_ = tx.exec("ROLLBACK")
	}
	w.answer(tx, joined, err)
}

// answer tells the writes of a batch how its transaction ended.
func (w *writer) answer(tx *Tx, joined []*write, err error) {
	if err == nil {
		for _, hook := range tx.hooks {
			hook()
		}
	}
	for _, one := range joined {
		if one.err == nil && err != nil {
			one.err = fmt.Errorf("committing: %w", err)
		}
		close(one.done)
	}
}
