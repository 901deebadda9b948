package sandbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A laying reproduces a folder of the host in a runner's home, so that the runner owns it:
// GitHub's runner writes to its own folder (run-helper.sh, _diag, .runner, .credentials, _work),
// and to update itself it renames its folders bin and externals.
//
// Folders are created, down to the second level. What is below, such as all of
// externals/node24, is a read-only mount, which moves along when externals is renamed. Files
// that only their owner can write are hard links, so that GitHub's runner costs milliseconds
// and no space. Other files, and all at the top, which the runner overwrites, are copies.
type laying struct {
	from, to string // on the host
	inside   string // to, as the runner sees it
	uid      int    // owner on the host; -1 for the user of this process
}

// A binding is a folder of the host and the path where runners see it.
type binding struct{ host, inside string }

// notLaid lists what a runner that was configured, or has run, leaves at the top of its folder.
// None of it is for other runners, and some of it are credentials.
var notLaid = []string{".runner", ".credentials", ".credentials_rsaparams", ".credential_store", "_diag", "_work", "run-helper.sh"}

// inHome reports whether inside is the runner's home or below it.
func inHome(inside string) bool {
	inside = filepath.Clean(inside)
	return inside == pool.Home || strings.HasPrefix(inside, pool.Home+"/")
}

// layAll lays the programs that belong into the home of r, and returns what to mount in them.
func (l *Launcher) layAll(ctx context.Context, r run, uid uint32) (mounts []binding, err error) {
	owner := -1
	if l.asRoot {
		owner = int(uid)
	}
	for _, host := range slices.Sorted(maps.Keys(l.config.Programs)) {
		inside := filepath.Clean(l.config.Programs[host])
		if !inHome(inside) {
			continue
		}
		at, name := r.path("home"), strings.Split(strings.TrimPrefix(inside, pool.Home), "/")
		for _, parent := range name[:len(name)-1] {
			at = filepath.Join(at, parent)
			if err := makeFolder(at, owner); err != nil {
				return nil, err
			}
		}
		more, err := laying{filepath.Clean(host), filepath.Join(at, name[len(name)-1]), inside, owner}.lay(ctx)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, more...)
	}
	return mounts, nil
}

// makeFolder creates a folder of owner, unless it exists.
func makeFolder(at string, owner int) error {
	if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Lchown(at, owner, owner)
}

func (l laying) lay(ctx context.Context) (mounts []binding, err error) {
	root, err := filepath.EvalSymlinks(l.from)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		skip := error(nil)
		if d.IsDir() {
			skip = fs.SkipDir
		}
		switch {
		case slices.Contains(notLaid, rel):
			return skip
		case d.IsDir() && strings.Contains(rel, "/"): // the second level
			mounts = append(mounts, binding{path, filepath.Join(l.inside, rel)})
			if err := makeFolder(filepath.Join(l.to, rel), l.uid); err != nil {
				return err
			}
			return skip
		}
		return l.entry(path, rel, d)
	})
	return mounts, err
}

// entry lays one file, link or folder; rel is its path below the top.
func (l laying) entry(path, rel string, d fs.DirEntry) error {
	to := filepath.Join(l.to, rel)
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		return makeFolder(to, l.uid)
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		if below, ok := strings.CutPrefix(target, l.from+"/"); ok { // an update of the runner leaves absolute links into its folder
			target = filepath.Join(l.inside, below)
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
	case !d.Type().IsRegular():
		return nil
	case l.linked(rel, info) && os.Link(path, to) == nil:
		return nil // a hard link keeps its owner
	default:
		if err := copyFile(path, to, info.Mode()); err != nil {
			return err
		}
	}
	return os.Lchown(to, l.uid, l.uid)
}

// linked reports whether a hard link is as good as a copy: the runner can read and execute the
// file like its owner, cannot write to it, and does not need to: it replaces files there.
func (l laying) linked(rel string, info fs.FileInfo) bool {
	mode := info.Mode()
	const special = fs.ModeSetuid | fs.ModeSetgid
	return l.uid > 0 && strings.Contains(rel, "/") && mode&special == 0 && mode&0o022 == 0 && mode&0o005 == mode>>6&0o005
}

// copyFile copies a file. File systems that can share the content do.
func copyFile(from, to string, mode fs.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm()|0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
