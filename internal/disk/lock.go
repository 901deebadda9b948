package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockName returns the file next to a database that is locked while it is open for writing.
func lockName(path string) string { return path + ".lock" }

// whole returns a lock of a whole file by an open file description: unlike flock's, it can be
// queried without being taken.
func whole() *unix.Flock_t { return &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart} }

// InUse reports whether a process has the database at path open for writing.
func InUse(path string) bool {
	f, err := os.Open(lockName(path))
	if err != nil {
		return false
	}
	defer f.Close()
	lock := whole()
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, lock)
	return err == nil && lock.Type != unix.F_UNLCK
}

// lockFile takes the lock that keeps two processes from writing one database. The kernel releases
// it when the process ends, however it ends. It is a separate file, because closing any handle of
// the database file would drop SQLite's own locks on it
// (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
// The file is never removed: otherwise two processes could hold two locks of one name.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, Explain(err)
	}
	if err := takeLock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return f, nil
}

// A lock can briefly outlive its holder: if the holder was killed while starting a child, the child
// has it too, until it executes another program.
const (
	orphaned  = time.Second
	lookAgain = 5 * time.Millisecond
)

// takeLock locks f. The error is ErrInUse if another process keeps the lock.
func takeLock(f *os.File) error {
	for end := time.Now().Add(orphaned); ; time.Sleep(lookAgain) {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, whole())
		switch {
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			return err
		case time.Now().After(end):
			return ErrInUse
		}
	}
}
