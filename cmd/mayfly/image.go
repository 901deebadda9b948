package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/machine"
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

// readImageSettings reads the configuration; where there is none, the defaults do.
func readImageSettings(path string) (machine.ImageConfig, error) {
	s, err := readPart(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Base(path) == config.FileName:
		cache, err := os.UserCacheDir()
		return machine.ImageConfig{Sockets: engineSockets(), State: filepath.Join(cache, "mayfly")}, err
	case err != nil:
		return machine.ImageConfig{}, err
	}
	return s.image(), nil
}

// imageListCmd is `mayfly image list`.
type imageListCmd struct {
	platform
	JSON bool `help:"Print JSON."`
}

// Run lists what the engine has, or the stack's repository.
func (c *imageListCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) error {
	list := listInEngine
	if aws, err := c.imagesOnAWS(all); err != nil {
		return err
	} else if aws {
		list = listInStack
	}
	images, err := list(ctx, all)
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

func listInEngine(ctx context.Context, all *commands) (images []engine.Image, err error) {
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return nil, err
	}
	b, close, err := settings.Builder(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	return b.List(ctx)
}
