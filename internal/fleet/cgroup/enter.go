package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Enter makes the next process that the calling thread starts with attr a member of g from its
// first instruction on, so that no early fork escapes the limits. Call the returned func after
// the start, to release resources.
//
// In version 2 clone3 does this. In version 1 a child inherits the groups of the thread that
// forks it, so Enter moves the calling thread: call it, and start the process, in [OnThread].
func (g Group) Enter(thread int, attr *syscall.SysProcAttr) (release func(), err error) {
	if g.tree.v2 != "" {
		dir, err := os.Open(g.folder("memory"))
		if err != nil {
			return nil, fmt.Errorf("entering control group: %w", err)
		}
		attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
		return func() { dir.Close() }, nil
	}
	for _, f := range g.folders() {
		if err := os.WriteFile(filepath.Join(f, "tasks"), []byte(strconv.Itoa(thread)), 0); err != nil {
			return nil, fmt.Errorf("entering control group: %w", err)
		}
	}
	return func() {}, nil
}

// removeTries × removePause is how long a group may take to become empty after its last process
// was killed: the kernel removes processes in the background.
const (
	removeTries = 100
	removePause = 5 * time.Millisecond
)

// Remove removes g, whose processes must have ended or be ending. It returns nil if g does not
// exist.
func (g Group) Remove() error {
	var errs []error
	for _, f := range g.folders() {
		err := os.Remove(f)
		for try := 0; errors.Is(err, syscall.EBUSY) && try < removeTries; try++ {
			time.Sleep(removePause)
			err = os.Remove(f)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing control group: %w", err))
		}
	}
	return errors.Join(errs...)
}
