package machine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	imageengine "github.com/mayfly-ci/mayfly/internal/image/engine"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// ImageConfig is what an image is built from, besides a release of the runner.
type ImageConfig struct {
	config.Image
	Sockets []string
	State   string            // folder of mayfly's files
	Proxy   map[string]string // variables that name the proxy
}

// Open returns the source of images.
func (s ImageConfig) Open() (imagesource.Source, error) {
	if s.Source == "" {
		return imagesource.Embedded(), nil
	}
	opened, err := imagesource.Open(s.Source)
	if err != nil {
		return opened, cli.Usage(err, "mayfly image eject DIR writes one to begin with")
	}
	return opened, nil
}

// Fetcher gets archives of GitHub's runner into the state folder, and tells of it unless
// progress is nil.
func (s ImageConfig) Fetcher(progress func(got, total int64)) archive.Fetcher {
	return archive.Fetcher{Base: cmp.Or(s.Downloads, archive.Downloads), Dir: filepath.Join(s.State, "archives"), Progress: progress}
}

// Revision says what an image is built from besides the runner: the files, and what the
// configuration changes.
func (s ImageConfig) Revision(files imagesource.Source) string {
	if s.Base == "" && !s.Docker && len(s.Packages) == 0 {
		return files.Revision
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %t %q", s.Base, s.Docker, s.Packages))
	return files.Revision + "+" + hex.EncodeToString(sum[:])[:6]
}

// Request asks for an image of what s says.
func (s ImageConfig) Request(files imagesource.Source, agent string, runner archive.File, log io.Writer) imageengine.Request {
	return imageengine.Request{
		Source: files, Agent: agent, Runner: runner, Base: s.Base, Packages: s.Packages, Docker: s.Docker, Proxy: s.Proxy, Log: log,
	}
}

// Builder returns what builds and keeps images, on an engine that answers or on
// Podman, served until it is closed.
func (s ImageConfig) Builder(ctx context.Context) (_ *imageengine.Builder, close func() error, err error) {
	dir, err := os.MkdirTemp("", "mayfly-image-")
	if err != nil {
		return nil, nil, err
	}
	socket, closeSocket, err := EngineSocket(ctx, s.Sockets, filepath.Join(dir, "podman.sock"))
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
		return nil, nil, cli.Hint(err, "images are built by a container engine: %s", HowToStart())
	}
	clean := func() error { return errors.Join(closeSocket(), os.RemoveAll(dir)) }
	b, err := imageengine.New(ctx, socket)
	if err != nil {
		return nil, nil, errors.Join(err, clean())
	}
	return b, func() error { return errors.Join(b.Close(), clean()) }, nil
}
