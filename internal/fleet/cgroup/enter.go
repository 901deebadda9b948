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

// Enter makes the process that is started next with attr, from the calling
// thread, a member of g from its first instruction, so that no early fork
// escapes. The returned func lets go of what that takes; call it after the start.
//
// Version 2 has clone3 for it. In version 1 a child is born into the groups of
// the thread that forks it, so the calling thread itself moves: call it, and start
// the process, in [OnThread].
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

// removeTries × removePause is how long a group may take to empty after its last
// process was killed; the kernel does that in the background.
const (
	removeTries = 100
	removePause = 5 * time.Millisecond
)

// Remove removes g, whose processes must have ended or be ending; nil when there
// is nothing.
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
