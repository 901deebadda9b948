// Package disk is the one SQLite file of a machine, opened so that what is committed stays, and
// written so that many writers share one fsync.
//
// Everything durable of a machine is in this file: the bus's events and the ledger's jobs and
// runners. So a job's new state and the events that announce it commit together ([DB.Write]), and a
// crash never leaves one without the other.
package disk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
)

// readers is how many queries run concurrently; more wait.
const readers = 4

// Options of [Open]. The zero value is what `mayfly up` uses.
type Options struct {
	// MaxBytes bounds the database file; writes beyond it fail with [ErrFull]. Zero means no bound.
	MaxBytes int64

	// Commit, if set, is called instead of each commit and must call commit. Tests use it to make a
	// commit fail before or after it is stored.
	Commit func(commit func() error) error
}

// A DB is an open database file. Its methods are safe for concurrent use.
type DB struct {
	path  string
	lock  *os.File // held while open for writing; nil for a reader
	reads *sql.DB
	stmts statements // of reads
	write *writer    // nil for a reader
}

// Open opens the database at path for reading and writing, and creates it if necessary. One process
// at a time can have it open: for others the error is [ErrInUse]. Only its owner can read the file.
func Open(path string, o Options) (*DB, error) {
	lock, err := lockFile(lockName(path))
	if err != nil {
		return nil, err
	}
	db := &DB{path: path, lock: lock}
	if err := db.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return db, nil
}

func (db *DB) open(o Options) error {
	if err := makePrivate(db.path); err != nil {
		return err
	}
	w, err := startWriter(db.path, o)
	if err != nil {
		return err
	}
	db.write = w
	return db.openReads()
}

// OpenReader opens the database at path for reading, whether or not another process writes it.
// [DB.Write] is refused. The error is fs.ErrNotExist if there is no such file.
func OpenReader(path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db := &DB{path: path}
	if err := db.openReads(); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return db, nil
}

// openReads opens the connections for reading. They are not read-only files, because the first
// reader of a WAL database that nobody else has open must be able to write its shared index;
// query_only protects the data.
func (db *DB) openReads() error {
	reads, err := sql.Open("sqlite", source(db.path, "query_only(1)"))
	if err != nil {
		return err
	}
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers) // a new connection would prepare every statement again
	db.reads = reads
	return Explain(reads.Ping())
}

// Close finishes writes under way and closes the file.
func (db *DB) Close() error {
	var errs []error
	if db.write != nil {
		errs = append(errs, db.write.close())
	}
	if db.reads != nil {
		errs = append(errs, db.stmts.close(), db.reads.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Query queries the last committed state. Statements are prepared once per text, so values belong
// in args. The rows must be closed.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := db.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args...)
	return rows, Explain(err)
}

// QueryRow is [DB.Query] for one row; Scan returns its errors.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := db.prepare(ctx, query)
	if err != nil {
		return db.reads.QueryRowContext(ctx, query, args...) // returns the same error
	}
	return s.QueryRowContext(ctx, args...)
}

func (db *DB) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	return db.stmts.get(query, func() (*sql.Stmt, error) { return db.reads.PrepareContext(ctx, query) })
}

// source returns the data source name of the file at path, with further pragmas. It uses mode=rw
// because [Open] has created the file, and a reader must not.
func source(path string, pragmas ...string) string {
	q := url.Values{"mode": {"rw"}, "_pragma": append([]string{"busy_timeout(5000)", "foreign_keys(1)"}, pragmas...)}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + q.Encode()
}

// makePrivate creates the file at path if it does not exist. SQLite gives its other files the same
// mode.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return Explain(err)
	}
	return errors.Join(f.Chmod(fs.FileMode(0o600)), f.Close())
}
