package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that callers distinguish.
var (
	ErrFull     = errors.New("disk full")                                // nothing was stored; works again once there is space
	ErrInUse    = errors.New("in use by another process")                // of Open
	ErrReadOnly = errors.New("database is open for reading only")        // of Write after OpenReader
	ErrClosed   = errors.New("database is closed")                       // of Write after Close
	ErrOlder    = errors.New("the file was written by an older version") // of Migrated
	ErrDamaged  = errors.New("database is damaged")                      // or the file is not a database
)

// Explain translates an error of SQLite or of the system into one of this package, if there is one.
// Only errors from Scan and Rows need it; all others are translated already.
func Explain(err error) error {
	for _, known := range []error{ErrFull, ErrDamaged, fs.ErrPermission} {
		if errors.Is(err, known) {
			return err
		}
	}
	code := 0
	if lite := (*sqlite.Error)(nil); errors.As(err, &lite) {
		code = lite.Code() & 0xff
	}
	switch {
	case code == sqlite3.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case code == sqlite3.SQLITE_CORRUPT, code == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case code == sqlite3.SQLITE_READONLY, code == sqlite3.SQLITE_PERM, errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}
