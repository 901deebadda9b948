package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// Build builds an image, with the log of the build on standard error.
func (i images) Build(ctx context.Context, c *tool.ImageBuild) (err error) {
	settings, err := readImageSettings(i.Config)
	if err != nil {
		return err
	}
	override(c, &settings.Image)
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
	runner, err := i.runner(ctx, c, settings)
	if err != nil {
		return err
	}
	begin := time.Now()
	built, err := b.Build(ctx, settings.Request(files, agent, runner, i.Screen.Err))
	if err != nil {
		return explainBuild(err)
	}
	if err := i.enter(ctx, settings.ImageConfig, files, built); err != nil {
		return err
	}
	if c.JSON {
		return i.Screen.JSON(built)
	}
	fmt.Fprintf(i.Screen.Out, "built %s in %s\n  tag     %s\n  runner  %s\n  source  %s\n", built.Digest, cli.Duration(time.Since(begin)), built.Tag, built.Version, built.Revision)
	return nil
}

// enter tells the catalog of this machine, where there is one, of an image.
func (i images) enter(ctx context.Context, s machine.ImageConfig, files imagesource.Source, built engine.Image) error {
	d := database{Globals: i.Globals, Reading: tool.Reading{State: s.State}, log: i.Log}
	if _, err := os.Stat(filepath.Join(s.State, machine.DatabaseName)); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has run here: there is nobody to use it
	}
	_, err := askFor[image.Digest](ctx, d, "/image", image.Order{Built: &image.Built{
		Digest: image.Digest(built.Digest), Version: image.Version(built.Version), Revision: s.Revision(files),
	}})
	return cli.HintIfNone(err, "the image is built, and mayfly does not know of it; build it again while mayfly up runs")
}

func override(c *tool.ImageBuild, i *config.Image) {
	if c.Source != "" {
		i.Source = c.Source
	}
	if c.Base != "" {
		i.Base = c.Base
	}
	i.Docker = i.Docker || c.Docker
}

// runner returns the forge's runner: the file that was given, or a download.
func (i images) runner(ctx context.Context, c *tool.ImageBuild, s imageSettings) (archive.File, error) {
	if c.Version != "" {
		if _, err := image.ParseVersion(c.Version); err != nil {
			return archive.File{}, cli.Usage(err, "%s lists them", s.Product.Page)
		}
	}
	if c.Archive != "" {
		f, err := archive.Open(s.Product, c.Archive, runtime.GOARCH, c.Version, c.SHA256)
		return f, tool.ExplainArchive(s.Product, err)
	}
	version, sum, err := choose(ctx, c, s)
	if err != nil {
		return archive.File{}, err
	}
	progress := i.Screen.Progress(time.Now)
	defer progress.End()
	f, err := s.Fetcher(func(got, total int64) {
		progress.Set("fetching runner %s: %d of %d MB", version, got>>20, total>>20)
	}).Fetch(ctx, runtime.GOARCH, version, sum)
	return f, tool.ExplainArchive(s.Product, err)
}

// choose returns the release that was named, with its checksum, or the newest.
func choose(ctx context.Context, c *tool.ImageBuild, s imageSettings) (version, sum string, err error) {
	if c.Version != "" && c.SHA256 != "" {
		return c.Version, c.SHA256, nil
	}
	newest, err := tool.NewestRunner(ctx, s.Feed())
	if err != nil {
		return "", "", err
	}
	if c.Version != "" && c.Version != string(newest.Version) {
		return "", "", cli.Usage(fmt.Errorf("runner %s is not the newest, which is %s: want its --sha256", c.Version, newest.Version), "%s", archive.ReleasesHint(s.Product))
	}
	return string(newest.Version), cmp.Or(c.SHA256, newest.SHA256[runtime.GOARCH]), nil
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
