package disk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// maxBatch bounds the writes that share a transaction, so that the first does not wait long for the
// last.
const maxBatch = 256

// Write calls f in a transaction and returns nil only once what f wrote is committed and fsynced.
// Writes that arrive while others are under way share a transaction and its fsync, so many
// concurrent small writes are cheap. The functions of a DB run one after another, each once, in
// order of arrival, and see what earlier ones wrote.
//
// If f returns an error, what it wrote is undone, the other writes are not, and Write returns that
// error. If ctx ends before f was called, f is never called and Write returns ctx's error. After
// that Write waits for the outcome, because a commit is short and an earlier answer would be a
// guess. After any other error, such as that of a commit that could not be fsynced, readers no
// longer see what f wrote, but a crash may bring it back.
//
// f must not call Write, must close the rows it queries, and must not keep tx.
func (db *DB) Write(ctx context.Context, f func(tx *Tx) error) error {
	if db.write == nil {
		return ErrReadOnly
	}
	return db.write.do(ctx, f)
}

// A writer owns the one connection that writes, and runs all writes in one goroutine.
type writer struct {
	conn   *sql.Conn
	close  func() error
	commit func(commit func() error) error
	stmts  statements

	mu     sync.Mutex
	queue  []*write      // guarded by mu; writes that have not begun
	closed bool          // guarded by mu
	wake   chan struct{} // holds one token while queue or closed has changed
}

// A write is one call of [DB.Write].
type write struct {
	f     func(*Tx) error
	err   error         // set before done is closed
	done  chan struct{} // closed when the outcome is known
	begun bool          // guarded by writer.mu; f may have been called
}

func startWriter(path string, o Options) (*writer, error) {
	// The log is moved into the file every 2,000 pages (16 MiB), and truncated to twice that after
	// a large transaction. The driver sorts these by name: what needs an order is in form.
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

// do queues f and waits for the outcome.
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

// withdraw removes one from the queue, and reports whether it will not run.
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

// stop ends run once the queue is empty.
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

// next takes the next write from the queue; nil if it is empty.
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

// batch runs first, and those that arrive meanwhile, in one transaction.
func (w *writer) batch(first *write) {
	tx := &Tx{w: w}
	var joined []*write // those waiting for the commit
	err := tx.exec("BEGIN IMMEDIATE")
	for one := first; one != nil; one, _ = w.next() {
		if err == nil {
			one.err, err = tx.run(one.f)
		}
		if one.err != nil && err == nil {
			close(one.done) // undone already: the commit cannot change its outcome
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
		// An error here means that SQLite has rolled back already.
		_ = tx.exec("ROLLBACK")
	}
	w.answer(tx, joined, err)
}

// answer reports the outcome of the transaction to the writes of a batch.
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
