// Package archive handles the archives of GitHub's runner, as its releases have them: name,
// checksum, content and download.
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

// Reasons why no image is built from an archive.
var (
	ErrChecksum = errors.New("wrong checksum")
	ErrContent  = errors.New("not a release of actions/runner")
	ErrVersion  = errors.New("version of the runner is not known")
)

// A File is an archive on this host whose checksum and content were checked.
type File struct {
	Path    string
	Version string // such as 2.336.0
	SHA256  string // in hex
}

// platforms maps GOARCH to GitHub's name of the platform.
var platforms = map[string]string{"amd64": "linux-x64", "arm64": "linux-arm64", "arm": "linux-arm"}

// Name returns GitHub's name of the archive of a version for an architecture (as in GOARCH), or
// "" if GitHub has none.
func Name(version, arch string) string {
	platform, ok := platforms[arch]
	if !ok {
		return ""
	}
	return "actions-runner-" + platform + "-" + version + ".tar.gz"
}

// Architecture returns the architecture (as in GOARCH) of an archive with one of GitHub's names,
// or "" for another name.
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

// Open checks an archive for arch. If version is empty, it is taken from the file's name; if sum
// is empty, any checksum is accepted. The error is [ErrChecksum], [ErrContent] or [ErrVersion],
// with the values.
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

// look returns the checksum of file, and an error about its content.
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

// checkContent reads an archive until it has seen the files of a runner.
func checkContent(r io.Reader) error {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	missing := map[string]bool{"run.sh": true, "bin/Runner.Listener": true}
	for entries := tar.NewReader(unzipped); len(missing) > 0; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it does not contain %s", ErrContent, first(missing))
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
