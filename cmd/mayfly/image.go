package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// imageCmd is `mayfly image`.
type imageCmd struct {
	Eject imageEjectCmd `cmd:"" help:"Write out the image's source, to change it."`

	Canary imageCanaryCmd `cmd:"" help:"Run a canary job on a runner from an image, against a stand-in of the forge."`
	tool.ImageCommands
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
	dir := tool.Relative(c.Dir)
	screen.Notef("wrote %s: change what you like, then\n  mayfly image build --source %s\nand put image: {source: %s} into mayfly.yaml", dir, dir, dir)
	return nil
}

// imageSettings are those of images, for runners of a forge that [config.Config.Forge] can name.
type imageSettings struct {
	machine.ImageConfig
	forge string
}

// readImageSettings reads the configuration; where there is none, the defaults do.
func readImageSettings(path string) (imageSettings, error) {
	s, err := readPart(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Base(path) == config.FileName:
		cache, err := os.UserCacheDir()
		defaults := machine.ImageConfig{Product: archive.Actions, Sockets: engineSockets(), State: filepath.Join(cache, "mayfly")}
		return imageSettings{ImageConfig: defaults}, err
	case err != nil:
		return imageSettings{}, err
	}
	return imageSettings{s.image(), s.Config.Forge}, nil
}

// images are those of this machine's engine, and the catalog in its database.
type images struct {
	tool.Call
	tool.Reading
}

// List implements [tool.Images].
func (i images) List(ctx context.Context) (list []image.Stored, err error) {
	settings, err := readImageSettings(i.Config)
	if err != nil {
		return nil, err
	}
	b, close, err := settings.Builder(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	found, err := b.List(ctx)
	return found, err
}

// Order implements [tool.Images].
func (i images) Order(ctx context.Context, o image.Order) (image.Digest, error) {
	d := database{Globals: i.Globals, Reading: i.Reading, log: i.Log}
	if o.Promote != nil {
		d.fresh, o.Built = true, i.builtHere(ctx, o.Promote.Digest)
	}
	return askFor[image.Digest](ctx, d, "/image", o)
}

// builtHere returns an image that was built on this machine, which the catalog need not
// know of: mayfly image build runs before there is one, too. It is nil where no engine has it.
func (i images) builtHere(ctx context.Context, digest image.Digest) *image.Built {
	list, err := i.List(ctx)
	if err != nil {
		return nil // without an engine there is what the catalog knows
	}
	var built image.Catalog
	for _, one := range list {
		built.Images = append(built.Images, image.Image{Digest: image.Digest(one.Digest), Version: image.Version(one.Version), Revision: one.Revision})
	}
	found, ok := built.Find(digest)
	if !ok {
		return nil
	}
	return &image.Built{Digest: found.Digest, Version: found.Version, Revision: found.Revision}
}
