package machine

import (
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
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// An ImageConfig is what an image is built from, besides a release of the runner.
type ImageConfig struct {
	config.Image
	Product forge.Product // the runner that is in it
	Sockets []string
	State   string            // folder of mayfly's files
	Proxy   map[string]string // variables that name the proxy
}

// Open returns the source of images.
func (s ImageConfig) Open() (imagesource.Source, error) { return imagesource.Open(s.Source) }

// Feed returns the feed of the runner's releases.
func (s ImageConfig) Feed() release.Feed {
	return release.Feed{Product: s.Product, URL: s.Image.Feed, Downloads: s.Downloads}
}

// Fetcher returns what downloads the runner into the state folder, and reports to
// progress unless that is nil.
func (s ImageConfig) Fetcher(progress func(got, total int64)) archive.Fetcher {
	return archive.Fetcher{Product: s.Product, Base: s.Downloads, Dir: filepath.Join(s.State, "archives"), Progress: progress}
}

// Revision identifies what an image is built from besides the runner: the files, and what the
// configuration changes.
func (s ImageConfig) Revision(files imagesource.Source) string {
	if s.Base == "" && !s.Docker && len(s.Packages) == 0 {
		return files.Revision
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %t %q", s.Base, s.Docker, s.Packages))
	return files.Revision + "+" + hex.EncodeToString(sum[:])[:6]
}

// Request returns the request for an image that s describes.
func (s ImageConfig) Request(files imagesource.Source, agent string, runner archive.File, log io.Writer) imageengine.Request {
	return imageengine.Request{
		Source: files, Agent: agent, Runner: runner, Base: s.Base, Packages: s.Packages, Docker: s.Docker, Proxy: s.Proxy, Log: log,
	}
}

// Builder returns a builder of images, on an engine that answers or on Podman, whose API is served
// until close is called.
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
