package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// imageCmd is `mayfly image`.
type imageCmd struct {
	Eject imageEjectCmd `cmd:"" help:"Write out the image's source, to change it."`
	Build imageBuildCmd `cmd:"" help:"Build an image from a release of GitHub's runner."`
	List  imageListCmd  `cmd:"" help:"List the images that were built."`

	Status   imageStatusCmd   `cmd:"" help:"Which image is current, what comes next, and how long GitHub takes its runner."`
	Canary   imageCanaryCmd   `cmd:"" help:"Run a canary job on a runner from an image, against a simulated GitHub."`
	Promote  imagePromoteCmd  `cmd:"" help:"Have runners start from an image."`
	Rollback imageRollbackCmd `cmd:"" help:"Go back to the image that was current before."`
}

// imageEjectCmd is `mayfly image eject`.
type imageEjectCmd struct {
	Dir   string `arg:"" help:"Folder to write to." type:"path"`
	Force bool   `help:"Overwrite files that are there and differ."`
}

// Run writes the source that is part of this program.
func (c *imageEjectCmd) Run(screen *cli.Screen) error {
	err := imagesource.Embedded().Eject(c.Dir, c.Force)
	if errors.Is(err, fs.ErrExist) {
		return cli.Usage(err, "--force overwrites what differs; nothing was written")
	} else if err != nil {
		return err
	}
	dir := relative(c.Dir)
	screen.Notef("wrote %s: change what you like, then\n  mayfly image build --source %s\nand put image: {source: %s} into mayfly.yaml", dir, dir, dir)
	return nil
}

// imageSettings are what an image is built from, besides a release of the runner.
type imageSettings struct {
	config.Image
	sockets []string
	state   string // folder of mayfly's files
}

// readImageSettings reads the configuration; where there is none, the defaults do.
func readImageSettings(path string) (imageSettings, error) {
	s, err := readSetup(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Base(path) == config.FileName:
		cache, err := os.UserCacheDir()
		return imageSettings{sockets: engineSockets(), state: filepath.Join(cache, "mayfly")}, err
	case err != nil:
		return imageSettings{}, err
	}
	return s.image(), nil
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

// builder returns what builds and keeps images, on an engine that answers or on
// Podman, served until it is closed.
func (s imageSettings) builder(ctx context.Context) (_ *engine.Builder, close func() error, err error) {
	dir, err := os.MkdirTemp("", "mayfly-image-")
	if err != nil {
		return nil, nil, err
	}
	socket, closeSocket, err := engineSocket(ctx, s.sockets, filepath.Join(dir, "podman.sock"))
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
		return nil, nil, cli.Hint(err, "images are built by a container engine: start Docker or Podman, or name its socket with engine.socket")
	}
	clean := func() error { return errors.Join(closeSocket(), os.RemoveAll(dir)) }
	b, err := engine.New(ctx, socket)
	if err != nil {
		return nil, nil, errors.Join(err, clean())
	}
	return b, func() error { return errors.Join(b.Close(), clean()) }, nil
}

// imageBuildCmd is `mayfly image build`.
type imageBuildCmd struct {
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of GitHub's runner, such as 2.336.0." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of the runner's archive, from the notes of its release." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"The runner's archive, in place of a download: actions-runner-linux-x64-VERSION.tar.gz." type:"existingfile" placeholder:"FILE"`
	Base    string `help:"Image to build on, in place of the Dockerfile's." placeholder:"IMAGE"`
	Docker  bool   `help:"Add Docker's command line and buildx."`
	JSON    bool   `help:"Print JSON."`
}

// Run builds an image, with the log of the build on standard error.
func (c *imageBuildCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) (err error) {
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return err
	}
	c.override(&settings.Image)
	files, err := settings.open()
	if err != nil {
		return err
	}
	agent, err := companion("mayfly-agent")
	if err != nil {
		return err
	}
	b, close, err := settings.builder(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	runner, err := c.runner(ctx, screen, settings.state)
	if err != nil {
		return err
	}
	begin := time.Now()
	built, err := b.Build(ctx, engine.Request{
		Source: files, Agent: agent, Runner: runner, Base: settings.Base, Docker: settings.Docker, Log: screen.Err,
	})
	if err != nil {
		return explainBuild(err)
	}
	if err := c.enter(ctx, all, log, settings, files, built); err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(built)
	}
	fmt.Fprintf(screen.Out, "built %s in %s\n  tag     %s\n  runner  %s\n  source  %s\n", built.Digest, cli.Duration(time.Since(begin)), built.Tag, built.Version, built.Revision)
	return nil
}

// enter tells the catalog of this machine, where there is one, of an image.
func (c *imageBuildCmd) enter(ctx context.Context, all *commands, log *slog.Logger, s imageSettings, files imagesource.Source, built engine.Image) error {
	r := reading{State: s.state}
	if _, err := os.Stat(filepath.Join(s.state, databaseName)); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has run here: there is nobody to use it
	}
	_, err := askFor[image.Digest](ctx, r, all, log, "/image", imageOrder{Built: &image.Built{
		Digest: image.Digest(built.Digest), Version: image.Version(built.Version), Revision: s.revision(files),
	}})
	return hintIfNone(err, "the image is built, and mayfly does not know of it; build it again while mayfly up runs")
}

func (c *imageBuildCmd) override(i *config.Image) {
	if c.Source != "" {
		i.Source = c.Source
	}
	if c.Base != "" {
		i.Base = c.Base
	}
	i.Docker = i.Docker || c.Docker
}

// runner returns the archive of GitHub's runner: the file that was given, or a download.
func (c *imageBuildCmd) runner(ctx context.Context, screen *cli.Screen, state string) (archive.File, error) {
	if c.Version != "" {
		if _, err := image.ParseVersion(c.Version); err != nil {
			return archive.File{}, cli.Usage(err, "https://github.com/actions/runner/releases lists them")
		}
	}
	if c.Archive != "" {
		f, err := archive.Open(c.Archive, runtime.GOARCH, c.Version, c.SHA256)
		return f, explainArchive(err)
	}
	if c.Version == "" || c.SHA256 == "" {
		return archive.File{}, cli.Usage(errors.New("which release of GitHub's runner: want --runner-version and --sha256, or --agent-archive"),
			"https://github.com/actions/runner/releases has versions and checksums")
	}
	progress := screen.Progress(time.Now)
	defer progress.End()
	f, err := fetcher(state, func(got, total int64) {
		progress.Set("fetching runner %s: %d of %d MB", c.Version, got>>20, total>>20)
	}).Fetch(ctx, runtime.GOARCH, c.Version, c.SHA256)
	return f, explainArchive(err)
}

// fetcher keeps archives in the state folder.
func fetcher(state string, progress func(got, total int64)) archive.Fetcher {
	return archive.Fetcher{Base: archive.Downloads, Dir: filepath.Join(state, "archives"), Progress: progress}
}

// explainArchive gives the errors of an archive their hints.
func explainArchive(err error) error {
	var refused *archive.Refused
	switch {
	case errors.Is(err, archive.ErrChecksum):
		return cli.Hint(err, "no image was built: get the archive again, and the checksum from the notes of its release")
	case errors.Is(err, archive.ErrContent):
		return cli.Hint(err, "an archive is what https://github.com/actions/runner/releases has for Linux: actions-runner-linux-x64-VERSION.tar.gz")
	case errors.Is(err, archive.ErrVersion):
		return cli.Usage(err, "the file's name does not say it: name it with --runner-version")
	case errors.As(err, &refused):
		return cli.Hint(cli.WithCode(err, cli.ExitForge), "get the archive by other means, and give it with --agent-archive")
	}
	return err
}

// explainBuild gives the errors of a build their hints.
func explainBuild(err error) error {
	var failed *engine.BuildError
	switch {
	case errors.As(err, &failed):
		return cli.Hint(err, "mayfly image eject DIR writes the Dockerfile out, to change it; --base builds on another image")
	case errors.Is(err, docker.ErrNoEngine):
		return cli.Hint(err, "start Docker or Podman")
	}
	return err
}

// imageListCmd is `mayfly image list`.
type imageListCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run lists what the engine has.
func (c *imageListCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) (err error) {
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return err
	}
	b, close, err := settings.builder(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	images, err := b.List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(append([]engine.Image{}, images...))
	}
	var rows [][]cli.Cell
	for _, i := range images {
		rows = append(rows, cli.Text(image.Digest(i.Digest).Short(), i.Version, i.Revision, cli.Duration(time.Since(i.Built))+" ago",
			fmt.Sprintf("%d MB", i.Bytes/1e6), i.Tag))
	}
	screen.Table([]string{"IMAGE", "RUNNER", "SOURCE", "BUILT", "SIZE", "TAG"}, rows)
	return nil
}
