package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// stageFolder is where the stage is mounted. It exists on every host, and runners see nothing
// of it.
const stageFolder = "/tmp"

// A stage makes files that only root can read, such as a claim folder, available to a
// bubblewrap that root runs as another user: the files appear in a folder that every user may
// enter, in a mount namespace that only that bubblewrap sees. The zero stage, for an ordinary
// user, leaves paths unchanged.
type stage struct {
	folder string
	files  []string // host paths; number n is at folder/n
	shared bool     // whether to provide a /usr/share with pool.CacheFolder
}

// share returns where bubblewrap finds the host's /usr/share with [pool.CacheFolder] in it.
func (s *stage) share() string {
	s.shared = true
	return filepath.Join(s.folder, "share")
}

// path returns where bubblewrap finds the host's file.
func (s *stage) path(file string) string {
	if s.folder == "" {
		return file
	}
	s.files = append(s.files, file)
	return s.at(len(s.files) - 1)
}

func (s *stage) at(n int) string { return filepath.Join(s.folder, strconv.Itoa(n)) }

// mount builds the stage in a new mount namespace of the calling thread. The thread must end
// afterwards, or other goroutines would run in that namespace; see [cgroup.OnThread].
func (s *stage) mount() error {
	if s.folder == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting from the host's mounts: %w", err)
	}
	var trees []int
	defer func() {
		for _, t := range trees {
			unix.Close(t)
		}
	}()
	for _, file := range s.files { // open all first: the stage may hide some of them
		tree, err := unix.OpenTree(unix.AT_FDCWD, file, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return &os.PathError{Op: "opening", Path: file, Err: err}
		}
		trees = append(trees, tree)
	}
	if err := unix.Mount("tmpfs", s.folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711"); err != nil {
		return fmt.Errorf("mounting the stage: %w", err)
	}
	for n, file := range s.files {
		if err := show(trees[n], s.at(n)); err != nil {
			return fmt.Errorf("showing %s: %w", file, err)
		}
	}
	if s.shared {
		if err := s.mountShare(); err != nil {
			return fmt.Errorf("mounting /usr/share with %s: %w", pool.CacheFolder, err)
		}
	}
	return nil
}

// mountShare mounts a read-only overlay of the host's /usr/share and a folder that contains only the
// cache's folder. https://docs.kernel.org/filesystems/overlayfs.html#multiple-lower-layers
func (s *stage) mountShare() error {
	share := filepath.Dir(pool.CacheFolder)
	upper, at := filepath.Join(s.folder, "cache"), s.share()
	for _, folder := range []string{upper, filepath.Join(upper, filepath.Base(pool.CacheFolder)), at} {
		if err := errors.Join(os.Mkdir(folder, 0o755), os.Chmod(folder, 0o755)); err != nil { // whatever the umask
			return err
		}
	}
	return unix.Mount("overlay", at, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "lowerdir="+upper+":"+share)
}

// show mounts tree at a new file or folder.
func show(tree int, at string) error {
	var info unix.Stat_t
	err := unix.Fstat(tree, &info)
	switch {
	case err != nil:
	case info.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = os.Mkdir(at, 0o711)
	default:
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
