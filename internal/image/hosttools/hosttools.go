// Package hosttools builds a small runner image from this machine's own programs, for machines
// that cannot reach an image registry. It contains bash, the usual small tools, git if
// installed, the shared libraries that they need, and programs of the caller.
//
// The image fits only machines with this processor. The same programs with the same owner give
// the same image, byte for byte.
package hosttools

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Config lists the content of the image.
type Config struct {
	Tools []string          // names, looked up in PATH; missing ones are left out
	Trees []string          // folders or files of this host, with the same path in the image; missing ones are left out
	Files map[string]string // path in the image → file of this host, which must exist

	// Owner is written into the image, so that images of two owners share no layer: an engine
	// that removes one image while it loads another may remove the layers that both have.
	Owner string
}

// Tools returns the tools that scripts of workflows commonly use.
func Tools() []string {
	return []string{
		"bash", "sh", "env", "id", "whoami", "uname", "hostname", "sleep", "timeout", "true", "false", "test", "[",
		"cat", "head", "tail", "tee", "wc", "sort", "uniq", "cut", "tr", "nl", "od", "seq", "expr", "printf", "echo", "yes", "paste", "join", "comm", "fold", "split", "shuf",
		"ls", "cp", "mv", "rm", "ln", "mkdir", "rmdir", "mktemp", "touch", "chmod", "chown", "stat", "du", "df", "dd", "sync", "install", "truncate",
		"basename", "dirname", "pwd", "readlink", "realpath", "date", "nproc", "printenv", "kill", "ps", "mount",
		"md5sum", "sha1sum", "sha256sum", "sha512sum", "base64",
		"grep", "egrep", "fgrep", "sed", "awk", "find", "xargs", "diff", "cmp", "which", "tar", "gzip", "gunzip", "xz",
		"git", "curl",
	}
}

// Trees returns what these tools need besides their programs: git's subcommands and CA
// certificates.
func Trees() []string {
	return []string{"/usr/lib/git-core", "/usr/libexec/git-core", "/usr/share/git-core/templates", "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}
}

// Home is the home of the image's user, runner, whose user and group id are 1001.
const (
	Home = pool.Home
	id   = 1001
)

const (
	passwd   = "root:x:0:0:root:/root:/bin/bash\nrunner:x:1001:1001:runner:" + Home + ":/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	group    = "root:x:0:\nrunner:x:1001:\nnogroup:x:65534:\n"
	nsswitch = "passwd: files\ngroup: files\nhosts: files dns\n"
)

// NewName returns a unique name for an image. It can also serve as its owner.
func NewName(kind string) string {
	return "localhost/mayfly-" + kind + ":" + strings.ToLower(rand.Text())
}

// Build returns the image.
func Build(config Config) (v1.Image, error) {
	t := newTree()
	if err := t.furnish(); err != nil {
		return nil, err
	}
	t.put("/etc/mayfly-image", []byte(config.Owner+"\n"))
	for _, tool := range config.Tools {
		if file, err := exec.LookPath(tool); err == nil {
			if err := t.add(file); err != nil {
				return nil, fmt.Errorf("tool %s: %w", tool, err)
			}
		}
	}
	for _, tree := range config.Trees {
		if err := t.addAll(tree); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	for _, at := range slices.Sorted(maps.Keys(config.Files)) {
		if err := t.addAt(path.Clean(at), config.Files[at]); err != nil {
			return nil, fmt.Errorf("file %s: %w", at, err)
		}
	}
	return t.image()
}

// furnish adds the files and folders that every image has.
func (t *tree) furnish() error {
	for _, folder := range []string{"/dev", "/proc", "/sys", "/run", "/var/log", "/opt", "/mnt", "/usr/bin", "/usr/local/bin", "/home"} {
		t.mkdir(folder)
	}
	for _, folder := range []string{"/tmp", "/var/tmp", pool.CacheFolder} {
		t.mkdir(folder)
		t.entries[folder].mode = 0o1777
	}
	for _, link := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64"} { // links if they are links on this host
		if _, err := t.resolve(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	t.mkdir(Home)
	t.entries[Home].owner = id
	t.put("/etc/passwd", []byte(passwd))
	t.put("/etc/group", []byte(group))
	t.put("/etc/nsswitch.conf", []byte(nsswitch))
	return nil
}

// image packs t.
func (t *tree) image() (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(t.write(w)) }()
		return r, nil
	}, tarball.WithCompressionLevel(gzip.NoCompression)) // it only goes to the engine on this host
	if err != nil {
		return nil, fmt.Errorf("packing the image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("packing the image: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	file.Config = v1.Config{
		User: "runner", WorkingDir: Home, Cmd: []string{"bash"},
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + Home, "USER=runner", "LANG=C.UTF-8"},
	}
	return mutate.ConfigFile(image, file)
}

// write writes t as a tar archive, in the order of paths and without times.
func (t *tree) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, at := range slices.Sorted(maps.Keys(t.entries)) {
		if err := t.entries[at].write(archive, at); err != nil {
			return fmt.Errorf("packing %s: %w", at, err)
		}
	}
	return archive.Close()
}

func (e *entry) write(archive *tar.Writer, at string) error {
	header := &tar.Header{Name: at[1:], Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	var content io.Reader
	switch {
	case e.folder:
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	case e.target != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.target
	case e.source != "":
		f, err := os.Open(e.source)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		header.Typeflag, header.Size, content = tar.TypeReg, info.Size(), f
	default:
		header.Typeflag, header.Size, content = tar.TypeReg, int64(len(e.content)), bytes.NewReader(e.content)
	}
	if err := archive.WriteHeader(header); err != nil || content == nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}

// Write writes image, tagged ref, in the format of `docker save`, which every engine loads.
func Write(w io.Writer, ref string, image v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("image name %q: %w", ref, err)
	}
	return tarball.Write(tag, image, w)
}
