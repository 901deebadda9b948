// Package source has the source files of the runner image: a Dockerfile, and scripts to build it
// in AWS CodeBuild. They are embedded in the program. To change the image, a person writes them
// to a folder ([Source.Eject]), edits them, and configures that folder ([Open]).
//
// Mayfly's agent and the archive of GitHub's runner are not part of the source: a build adds them
// as [AgentFile] and [ArchiveFile].
package source

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/image/git"
)

// Names of files at the root of a source.
const (
	Dockerfile = "Dockerfile"
	Buildspec  = "buildspec.yml"

	AgentFile   = "mayfly-agent"          // added by a build
	ArchiveFile = "actions-runner.tar.gz" // added by a build
)

// Build arguments of the Dockerfile.
const (
	ArgBase     = "BASE"            // image to build on; the Dockerfile has a default, pinned by digest
	ArgPackages = "PACKAGES"        // more packages of the base's distribution, separated by spaces
	ArgDocker   = "DOCKER"          // yes adds Docker's command line and buildx
	ArgVersion  = "RUNNER_VERSION"  // such as 2.336.0; required
	ArgSHA256   = "RUNNER_SHA256"   // of the archive, in hex; required
	ArgRevision = "SOURCE_REVISION" // [Source.Revision]
	ArgTime     = "BUILD_TIME"      // RFC 3339
	ArgBuild    = "BUILD"           // a unique name for each build
)

// Labels of an image. Those of its version, revision and time are OCI's:
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
const (
	LabelImage    = "io.mayfly.image" // runner, or part for stages that only the build needs
	LabelBuild    = "io.mayfly.build" // [ArgBuild]
	LabelVersion  = "io.mayfly.runner-version"
	LabelSHA256   = "io.mayfly.runner-sha256"
	LabelDocker   = "io.mayfly.docker" // yes or no
	LabelRevision = "org.opencontainers.image.revision"
	LabelCreated  = "org.opencontainers.image.created"
	LabelBase     = "org.opencontainers.image.base.name"
)

// Values of [LabelImage].
const (
	KindRunner = "runner"
	KindPart   = "part"
)

//go:embed Dockerfile .dockerignore README.md buildspec.yml codebuild.sh
var embedded embed.FS

// A Source has the files of an image and their revision.
type Source struct {
	FS       fs.FS
	Revision string // derived from names and contents of all files, so equal files have equal revisions; see [Revision]
}

// Revision returns the revision of a source that is kept in git, from git's id of its tree. It equals
// [Source.Revision] of the same files.
func Revision(tree string) string { return tree[:min(len(tree), 12)] }

// Embedded returns the source that is part of this program.
func Embedded() Source {
	s, err := read(embedded)
	if err != nil {
		panic(err) // impossible: the files are embedded
	}
	return s
}

// ErrFolder is the error of [Open] for a folder that is not a source.
var ErrFolder = errors.New("image source")

// Open returns the source in a folder, without its .git. An empty dir means the embedded source.
func Open(dir string) (Source, error) {
	if dir == "" {
		return Embedded(), nil
	}
	s, err := read(os.DirFS(dir))
	if err == nil {
		_, err = fs.Stat(s.FS, Dockerfile)
	}
	if err != nil {
		return s, fmt.Errorf("%w %s: %w", ErrFolder, dir, err)
	}
	return s, nil
}

func read(files fs.FS) (Source, error) {
	s, all := Source{FS: files}, map[string]git.File{}
	err := s.Walk(func(name string, content io.Reader, info fs.FileInfo) error {
		body, err := io.ReadAll(content)
		all[name] = git.File{Blob: git.Blob(body), Executable: info.Mode()&0o111 != 0}
		return err
	})
	s.Revision = Revision(git.Tree(all))
	return s, err
}

// Walk calls do with each file, in the order of their slash-separated names.
func (s Source) Walk(do func(name string, content io.Reader, info fs.FileInfo) error) error {
	return fs.WalkDir(s.FS, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s: want files and folders only", name)
		case slices.Contains([]string{AgentFile, ArchiveFile}, name):
			return nil // left by a manual build
		}
		f, err := s.FS.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return do(name, f, info)
	})
}

// Eject writes the files to dir, and creates dir if needed. If a file exists with another content,
// it writes nothing and returns [fs.ErrExist], unless overwrite is set.
func (s Source) Eject(dir string, overwrite bool) error {
	for _, write := range []bool{false, true} {
		if !write && overwrite {
			continue
		}
		err := s.Walk(func(name string, content io.Reader, info fs.FileInfo) error {
			text, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			target := filepath.Join(dir, filepath.FromSlash(name))
			if write {
				return put(target, text)
			}
			there, err := os.ReadFile(target)
			if err == nil && string(there) != string(text) {
				return fmt.Errorf("%s: %w", target, fs.ErrExist)
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("writing the image source: %w", err)
		}
	}
	return nil
}

func put(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
