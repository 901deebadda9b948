package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The disk of a runner's engine is a sparse file with a mounted file system in it. So its size is
// a limit whatever the host's file system supports, and removing it is one step. It is in a folder
// named after the runner.
const (
	diskImage = "image"
	diskMount = "mount"
)

func (l *Launcher) disks() string { return filepath.Join(l.config.Folder, "disks") }

// makeDisk creates the disk of runner, unless it exists, and returns where it is mounted.
func (l *Launcher) makeDisk(ctx context.Context, runner string, size int64) (string, error) {
	dir := filepath.Join(l.disks(), runner)
	mounted := filepath.Join(dir, diskMount)
	if isMounted(mounted) {
		return mounted, nil
	}
	if err := l.removeDisk(runner); err != nil { // a crash left it unfinished
		return "", err
	}
	if err := os.MkdirAll(mounted, 0o700); err != nil {
		return "", err
	}
	if err := formatDisk(ctx, filepath.Join(dir, diskImage), size); err != nil {
		return "", errors.Join(err, l.removeDisk(runner))
	}
	if err := command(ctx, "mount", "-t", "ext4", "-o", "loop,nosuid,nodev,noatime", filepath.Join(dir, diskImage), mounted); err != nil {
		return "", errors.Join(fmt.Errorf("mounting a disk for docker: engine: %w", err), l.removeDisk(runner))
	}
	return mounted, nil
}

// formatDisk creates a file system without a journal, because the disk is worthless after a crash, and
// without blocks reserved for root.
func formatDisk(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	err = command(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", path)
	if err != nil {
		return fmt.Errorf("making a disk of %s bytes for docker: engine: %w", strconv.FormatInt(size, 10), err)
	}
	return nil
}

// command runs a program. The error contains what it printed.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(printed))
	}
	return nil
}

// isMounted reports whether dir is the root of a mount.
func isMounted(dir string) bool {
	var own, above unix.Stat_t
	return unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &above) == nil && own.Dev != above.Dev
}

// removeDisk removes the disk of runner, if it has one. The kernel frees it when its last user ends.
func (l *Launcher) removeDisk(runner string) error {
	dir := filepath.Join(l.disks(), runner)
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	mounted := filepath.Join(dir, diskMount)
	for isMounted(mounted) {
		if err := unix.Unmount(mounted, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting the disk of runner %s: %w", runner, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the disk of runner %s: %w", runner, err)
	}
	return nil
}

// halfMade is how long a disk may exist before its container: a start may be between the two.
const halfMade = time.Minute

// sweepDisks removes disks without a container, left by a crash between the two.
func (l *Launcher) sweepDisks(ctx context.Context, now time.Time) error {
	found, err := os.ReadDir(l.disks())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	all, err := l.List(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, c := range all {
		used[c.Runner] = true
	}
	var errs []error
	for _, d := range found {
		info, err := d.Info()
		if err == nil && !used[d.Name()] && now.Sub(info.ModTime()) > halfMade {
			errs = append(errs, l.removeDisk(d.Name()))
		}
	}
	return errors.Join(errs...)
}
