// Package archive handles the file of a runner, as its releases have it: checksum, content and
// download. A [forge.Product] has its name and address.
package archive

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Reasons why no image is built from an archive.
var (
	ErrChecksum = errors.New("wrong checksum")
	ErrContent  = errors.New("not a release of the runner")
	ErrVersion  = errors.New("version of the runner is not known")
)

// Actions is GitHub's runner, actions/runner.
// https://github.com/actions/runner/releases
var Actions = forge.Product{
	Name: "GitHub's runner", Page: "https://github.com/actions/runner/releases",
	Feed: "https://api.github.com", Releases: "/repos/actions/runner/releases",
	Downloads: "https://github.com/actions/runner/releases/download",
	Layout:    "v{version}/actions-runner-{platform}-{version}.tar.gz",
	Platforms: map[string]string{"amd64": "linux-x64", "arm64": "linux-arm64", "arm": "linux-arm"},
	Programs:  []string{"run.sh", "bin/Runner.Listener"},
}

// A File is an archive or a program on this host whose checksum and content were checked.
type File struct {
	Path    string
	Version string // such as 2.336.0
	SHA256  string // in hex
	Program bool   // it is the runner itself, no archive
}

// Open checks a file of p for arch. If version is empty, it is taken from the file's name; if sum
// is empty, any checksum is accepted. The error is [ErrChecksum], [ErrContent] or [ErrVersion],
// with the values.
func Open(p forge.Product, file, arch, version, sum string) (File, error) {
	f := File{Path: file, Version: version, SHA256: strings.ToLower(sum), Program: len(p.Programs) == 0}
	if named, of, ok := p.ReadName(file); ok {
		if of != arch {
			return f, fmt.Errorf("archive %s: %w for this processor: want %s", file, ErrContent, p.Platforms[arch])
		}
		f.Version = cmp.Or(version, named)
	}
	if f.Version == "" {
		return f, fmt.Errorf("archive %s: %w", file, ErrVersion)
	}
	is, content, err := look(p, file)
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
func look(p forge.Product, file string) (sum string, content, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	hash := sha256.New()
	content = checkContent(p, io.TeeReader(f, hash))
	if _, err := io.Copy(hash, f); err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(hash.Sum(nil)), content, nil
}

// checkContent reads a file until it has seen the files of a runner.
func checkContent(p forge.Product, r io.Reader) error {
	if len(p.Programs) == 0 {
		return checkProgram(r)
	}
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	missing := slices.Clone(p.Programs)
	for entries := tar.NewReader(unzipped); len(missing) > 0; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it does not contain %s", ErrContent, missing[0])
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrContent, err)
		}
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == path.Clean(h.Name) })
		}
	}
	return nil
}

// checkProgram sees whether a file is a program of Linux.
func checkProgram(r io.Reader) error {
	begin := make([]byte, len(elf.ELFMAG))
	if _, err := io.ReadFull(r, begin); err != nil || string(begin) != elf.ELFMAG {
		return fmt.Errorf("%w: no program of Linux", ErrContent)
	}
	return nil
}
