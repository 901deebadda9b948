package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	trimFirst = time.Second // after the start
	trimEvery = time.Minute
)

// trim keeps what an idle mayfly up has resident small, until ctx ends: its start
// initialises the libraries of all commands there are, and most of what that has touched
// is never needed again.
func trim(ctx context.Context, log *slog.Logger) error {
	for pause := trimFirst; ; pause = trimEvery {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		if pause == trimFirst {
			debug.FreeOSMemory()
		}
		if err := trimProgram(); err != nil {
			log.Debug("letting go of what the start needed", "err", err)
		}
	}
}

// trimProgram has the kernel forget which pages of the program's file this process has
// touched. They stay in the page cache, and those in use come back at their next use.
func trimProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uintptr
		var mode string
		_, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode)
		// What can be written to is no copy of the file any more.
		if err != nil || !strings.HasSuffix(lines.Text(), " "+program) || strings.Contains(mode, "w") {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("letting go of %s: %w", lines.Text(), errno)
		}
	}
	return lines.Err()
}
