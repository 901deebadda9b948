// Package archive has the archive of GitHub's runner as its releases bring it: its
// name, its checksum, what is in it, and its download.
// https://github.com/actions/runner/releases
package archive

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Errors of an archive that no image is built from.
var (
	ErrChecksum = errors.New("wrong checksum")
	ErrContent  = errors.New("not a release of actions/runner")
	ErrVersion  = errors.New("version of the runner is not known")
)

// A File is an archive on this host whose checksum and contents have been looked at.
type File struct {
	Path    string
	Version string // such as 2.336.0
	SHA256  string // in hex
}

// platforms is what GitHub calls Linux on a processor, by GOARCH.
var platforms = map[string]string{"amd64": "linux-x64", "arm64": "linux-arm64", "arm": "linux-arm"}

// Name returns what GitHub calls the archive of a version for a processor (as in
// GOARCH); "" where there is none.
func Name(version, arch string) string {
	platform, ok := platforms[arch]
	if !ok {
		return ""
	}
	return "actions-runner-" + platform + "-" + version + ".tar.gz"
}

// Architecture returns what an archive called as GitHub calls it is for (as in GOARCH); ""
// for another name.
func Architecture(file string) string {
	if named := names.FindStringSubmatch(filepath.Base(file)); named != nil {
		for arch, platform := range platforms {
			if platform == named[1] {
				return arch
			}
		}
	}
	return ""
}

var names = regexp.MustCompile(`^actions-runner-(linux-[a-z0-9]+)-(\d+\.\d+\.\d+)\.tar\.gz$`)

// Open looks at an archive that is to run on arch. An empty version is taken from the
// file's name; an empty sum is that of the file, as it is. What is wrong with the
// archive is [ErrChecksum], [ErrContent] or [ErrVersion], with the values.
func Open(file, arch, version, sum string) (File, error) {
	f := File{Path: file, Version: version, SHA256: strings.ToLower(sum)}
	if named := names.FindStringSubmatch(filepath.Base(file)); named != nil {
		if want := platforms[arch]; named[1] != want {
			return f, fmt.Errorf("archive %s: %w for this processor: want %s", file, ErrContent, want)
		}
		f.Version = cmp.Or(version, named[2])
	}
	if f.Version == "" {
		return f, fmt.Errorf("archive %s: %w", file, ErrVersion)
	}
	is, content, err := look(file)
	switch {
	case err != nil:
		return f, fmt.Errorf("archive %s: %w", file, err)
	case f.SHA256 != "" && f.SHA256 != is:
		return f, fmt.Errorf("archive %s: %w: SHA-256 is %s, want %s", file, ErrChecksum, is, f.SHA256)
	case content != nil:
		return f, fmt.Errorf("archive %s: %w", file, content)
	}
	f.SHA256 = is
	return f, nil
}

// look returns the checksum of file, and what is wrong with its content.
func look(file string) (sum string, content, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	hash := sha256.New()
	content = checkContent(io.TeeReader(f, hash))
	if _, err := io.Copy(hash, f); err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(hash.Sum(nil)), content, nil
}

// checkContent reads an archive far enough to see that a runner is in it.
func checkContent(r io.Reader) error {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	missing := map[string]bool{"run.sh": true, "bin/Runner.Listener": true}
	for entries := tar.NewReader(unzipped); len(missing) > 0; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %s is not in it", ErrContent, first(missing))
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrContent, err)
		}
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink {
			delete(missing, path.Clean(h.Name))
		}
	}
	return nil
}

func first(missing map[string]bool) string {
	if missing["run.sh"] {
		return "run.sh"
	}
	return "bin/Runner.Listener"
}
