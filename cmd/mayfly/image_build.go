package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// newestRunner asks a feed for the newest release of GitHub's runner.
func newestRunner(ctx context.Context, feed string) (image.Release, error) {
	answer, err := release.Feed{URL: feed}.Latest(ctx, "")
	if err != nil {
		return image.Release{}, cli.Hint(cli.WithCode(fmt.Errorf("asking for the newest runner: %w", err), cli.ExitForge), rollout.ReleasesHint)
	}
	released, ok := answer.(image.Released)
	if !ok {
		return image.Release{}, cli.Hint(fmt.Errorf("asking for the newest runner: %T is no release", answer), rollout.ReleasesHint)
	}
	return released.Release, nil
}

// imageBuildCmd is `mayfly image build`.
type imageBuildCmd struct {
	platform
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of GitHub's runner, such as 2.336.0; the newest by default." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of the runner's archive, from the notes of its release; those of the newest are known." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"The runner's archive, in place of a download: actions-runner-linux-x64-VERSION.tar.gz." type:"existingfile" placeholder:"FILE"`
	Base    string `help:"Image to build on, in place of the Dockerfile's." placeholder:"IMAGE"`
	Docker  bool   `help:"Add Docker's command line and buildx."`
	JSON    bool   `help:"Print JSON."`

	Look time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
}

// Run builds an image, with the log of the build on standard error.
func (c *imageBuildCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) (err error) {
	if aws, err := c.imagesOnAWS(all); err != nil {
		return err
	} else if aws {
		return c.buildOnAWS(ctx, all, screen)
	}
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return err
	}
	c.override(&settings.Image)
	files, err := settings.Open()
	if err != nil {
		return err
	}
	agent, err := cli.Companion("mayfly-agent")
	if err != nil {
		return err
	}
	b, close, err := settings.Builder(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	runner, err := c.runner(ctx, screen, settings)
	if err != nil {
		return err
	}
	begin := time.Now()
	built, err := b.Build(ctx, settings.Request(files, agent, runner, screen.Err))
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
func (c *imageBuildCmd) enter(ctx context.Context, all *commands, log *slog.Logger, s machine.ImageConfig, files imagesource.Source, built engine.Image) error {
	r := reading{State: s.State}
	if _, err := os.Stat(filepath.Join(s.State, machine.DatabaseName)); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has run here: there is nobody to use it
	}
	_, err := askFor[image.Digest](ctx, r, all, log, "/image", machine.ImageOrder{Built: &image.Built{
		Digest: image.Digest(built.Digest), Version: image.Version(built.Version), Revision: s.Revision(files),
	}})
	return cli.HintIfNone(err, "the image is built, and mayfly does not know of it; build it again while mayfly up runs")
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
func (c *imageBuildCmd) runner(ctx context.Context, screen *cli.Screen, s machine.ImageConfig) (archive.File, error) {
	if c.Version != "" {
		if _, err := image.ParseVersion(c.Version); err != nil {
			return archive.File{}, cli.Usage(err, "https://github.com/actions/runner/releases lists them")
		}
	}
	if c.Archive != "" {
		f, err := archive.Open(c.Archive, runtime.GOARCH, c.Version, c.SHA256)
		return f, explainArchive(err)
	}
	version, sum, err := c.choose(ctx, s)
	if err != nil {
		return archive.File{}, err
	}
	progress := screen.Progress(time.Now)
	defer progress.End()
	f, err := s.Fetcher(func(got, total int64) {
		progress.Set("fetching runner %s: %d of %d MB", version, got>>20, total>>20)
	}).Fetch(ctx, runtime.GOARCH, version, sum)
	return f, explainArchive(err)
}

// choose returns the release that was named, with its checksum, or the newest.
func (c *imageBuildCmd) choose(ctx context.Context, s machine.ImageConfig) (version, sum string, err error) {
	if c.Version != "" && c.SHA256 != "" {
		return c.Version, c.SHA256, nil
	}
	newest, err := newestRunner(ctx, s.Feed)
	if err != nil {
		return "", "", err
	}
	if c.Version != "" && c.Version != string(newest.Version) {
		return "", "", cli.Usage(fmt.Errorf("runner %s is not the newest, which is %s: want its --sha256", c.Version, newest.Version), rollout.ReleasesHint)
	}
	return string(newest.Version), cmp.Or(c.SHA256, newest.SHA256[runtime.GOARCH]), nil
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
