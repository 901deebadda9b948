package disk

import (
	"context"
	"database/sql"
	"errors"
)

// A Tx is the transaction that [DB.Write] passes to its function. It may only be used in that
// function's goroutine and before it returns.
type Tx struct {
	w     *writer
	hooks []func()
}

// Exec runs a statement without rows and returns how many rows it changed. Statements are prepared
// once per text, so values belong in args.
func (tx *Tx) Exec(query string, args ...any) (changed int64, err error) {
	s, err := tx.prepare(query)
	if err != nil {
		return 0, err
	}
	// Without a deadline: an interrupted statement would undo the other writes of the transaction.
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, Explain(err)
	}
	return r.RowsAffected()
}

// Query queries the state inside the transaction. The rows must be closed before the function given
// to [DB.Write] returns.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	return rows, Explain(err)
}

// QueryRow is [Tx.Query] for one row; Scan returns its errors.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	s, err := tx.prepare(query)
	if err != nil {
		return tx.w.conn.QueryRowContext(context.Background(), query, args...) // returns the same error
	}
	return s.QueryRowContext(context.Background(), args...)
}

// OnCommit calls hook once the transaction is durable, before [DB.Write] returns; not if the write
// fails. The hooks of all writes run one after another, in the order of the writes, so they must be
// quick and must not write.
func (tx *Tx) OnCommit(hook func()) { tx.hooks = append(tx.hooks, hook) }

// run calls f and undoes what it wrote if it returns an error. Broken is the error that makes the
// whole transaction unusable.
func (tx *Tx) run(f func(*Tx) error) (err, broken error) {
	if err := tx.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	hooks := len(tx.hooks)
	if err = f(tx); err == nil {
		return nil, tx.exec("RELEASE one")
	}
	tx.hooks = tx.hooks[:hooks]
	// Some errors, such as a full disk, make SQLite roll the transaction back,
	// and the savepoint with it: https://www.sqlite.org/lang_transaction.html
	if undo := errors.Join(tx.exec("ROLLBACK TO one"), tx.exec("RELEASE one")); undo != nil {
		return err, err
	}
	return err, nil
}

func (tx *Tx) exec(query string) error {
	_, err := tx.Exec(query)
	return err
}

func (tx *Tx) prepare(query string) (*sql.Stmt, error) {
	return tx.w.stmts.get(query, func() (*sql.Stmt, error) {
		return tx.w.conn.PrepareContext(context.Background(), query)
	})
}
