package disk

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The errors that callers tell apart.
var (
	ErrFull     = errors.New("disk full")                                // nothing was stored; works again when there is space
	ErrInUse    = errors.New("in use by another process")                // of Open
	ErrReadOnly = errors.New("database is open for reading only")        // of Write after OpenReader
	ErrClosed   = errors.New("database is closed")                       // of Write after Close
	ErrOlder    = errors.New("the file was written by an older version") // of Migrated
)

// explain gives an error of SQLite or of the system as one of this package's
// where there is one.
func explain(err error) error {
	var lite *sqlite.Error
	switch {
	case errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", ErrFull, err)
	default:
		return err
	}
}
