package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// imageSettings are what an image is built from, besides a release of the runner.
type imageSettings struct {
	config.Image
	sockets []string
	state   string // folder of mayfly's files
}

// open returns the source of images.
func (s imageSettings) open() (imagesource.Source, error) {
	if s.Source == "" {
		return imagesource.Embedded(), nil
	}
	opened, err := imagesource.Open(s.Source)
	if err != nil {
		return opened, cli.Usage(err, "mayfly image eject DIR writes one to begin with")
	}
	return opened, nil
}

// fetcher gets archives of GitHub's runner into the state folder, and tells of it unless
// progress is nil.
func (s imageSettings) fetcher(progress func(got, total int64)) archive.Fetcher {
	return archive.Fetcher{Base: cmp.Or(s.Downloads, archive.Downloads), Dir: filepath.Join(s.state, "archives"), Progress: progress}
}

// revision says what an image is built from besides the runner: the files, and what the
// configuration changes.
func (s imageSettings) revision(files imagesource.Source) string {
	if s.Base == "" && !s.Docker {
		return files.Revision
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %t", s.Base, s.Docker))
	return files.Revision + "+" + hex.EncodeToString(sum[:])[:6]
}
