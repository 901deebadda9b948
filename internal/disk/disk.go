// Package disk is the one SQLite file of a machine: opened so that what is
// committed stays, and written so that many writers share one fsync.
//
// Everything durable of one machine is in this file: the bus's events, the
// ledger's jobs and runners. So a job's new state and the events that tell of
// it commit together ([DB.Write]), and a crash never leaves one without the other.
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

// readers is how many queries run at once; more wait.
const readers = 4

// Options of [Open]. The zero value is what `mayfly up` uses.
type Options struct {
	// MaxBytes bounds the database file; writes beyond it are [ErrFull].
	// Zero means as much as the file system has.
	MaxBytes int64

	// Commit, when set, is called in place of each commit and must call commit
	// itself. With it tests make a commit fail before it is stored, or after.
	Commit func(commit func() error) error
}

// A DB is an open database file. Its methods may be called from several goroutines.
type DB struct {
	path  string
	lock  *os.File // held while writing is allowed; nil for a reader
	reads *sql.DB
	stmts statements // of reads
	write *writer    // nil for a reader
}

// Open opens the database at path for reading and writing, and makes it if it
// is not there. A process that has it open keeps all others from it:
// [ErrInUse]. The file is readable by its owner only.
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

// OpenReader opens the database at path for reading, beside a process that
// writes it or when there is none. [DB.Write] is refused. The error is
// fs.ErrNotExist when there is no such file.
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

// openReads opens the connections that read. They are not opened as read-only
// files, because the first reader of a WAL database that nobody else has open
// must be able to write its shared index; query_only keeps them from the data.
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

// Close waits for the writes that are under way and closes the file.
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

// Query runs a query on the last committed state. Statements are prepared once
// per text, so values belong into args. The rows must be closed.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := db.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args...)
	return rows, Explain(err)
}

// QueryRow is [DB.Query] for a query of one row; its errors come from Scan.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := db.prepare(ctx, query)
	if err != nil {
		return db.reads.QueryRowContext(ctx, query, args...) // meets the same error
	}
	return s.QueryRowContext(ctx, args...)
}

func (db *DB) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	return db.stmts.get(query, func() (*sql.Stmt, error) { return db.reads.PrepareContext(ctx, query) })
}

// source is the data source name of the file at path with further pragmas.
// mode=rw because [Open] has made the file, and a reader must not.
func source(path string, pragmas ...string) string {
	q := url.Values{"mode": {"rw"}, "_pragma": append([]string{"busy_timeout(5000)", "foreign_keys(1)"}, pragmas...)}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + q.Encode()
}

// makePrivate makes the file at path if it is not there. SQLite gives the files
// beside it the same mode.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return Explain(err)
	}
	return errors.Join(f.Chmod(fs.FileMode(0o600)), f.Close())
}
