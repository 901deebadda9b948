package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file beside a database that is locked while it is written.
func lockName(path string) string { return path + ".lock" }

// whole is the lock of a whole file by an open file description: unlike that of
// flock, it can be asked about without being taken.
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

// lockFile takes the lock that keeps two processes from writing one database.
// The kernel gives it up with the process, however that ends. It is a file of
// its own, because closing any handle of the database file would drop SQLite's
// own locks on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
// The file stays: removing it would let two processes hold two locks of one name.
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

// A lock can outlive its holder for a moment: a child that the holder was starting
// when it was killed has it as well, until it becomes another program.
const (
	orphaned  = time.Second
	lookAgain = 5 * time.Millisecond
)

// takeLock locks f; ErrInUse when another holds the lock and goes on doing so.
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
