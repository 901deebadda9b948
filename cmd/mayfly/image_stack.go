package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
)

// imagesOnAWS reports whether images are those of a stack. On this machine they need no
// configuration.
func (p platform) imagesOnAWS(all *commands) (bool, error) {
	aws, err := p.onAWS(all)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return aws, err
}

// openStack returns a stack that is there, and how it stands.
func openStack(ctx context.Context, all *commands) (*cloud, deploy.State, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, deploy.State{}, err
	}
	state, err := c.Running(ctx)
	if err == nil {
		err = c.Account.Identify(ctx)
	}
	return c, state, err
}

// listInStack lists what is in the stack's repository.
func listInStack(ctx context.Context, all *commands) (images []engine.Image, err error) {
	c, state, err := openStack(ctx, all)
	if err != nil {
		return nil, err
	}
	list, err := c.Images(state).List(ctx)
	for _, i := range list {
		images = append(images, engine.Image{
			Digest: i.Digest, Tag: i.Tag, Version: i.Version, Revision: i.Revision, Architecture: i.Architecture, Built: i.Pushed, Bytes: i.Bytes,
		})
	}
	return images, err
}

// buildOnAWS builds in CodeBuild, with the log on standard error. Whether the image is to
// be current is for the stack's release function, which hears of the build's end.
func (c *imageBuildCmd) buildOnAWS(ctx context.Context, all *commands, screen *cli.Screen) error {
	if c.Base != "" || c.Docker {
		return cli.Usage(errors.New("--base and --docker are not supported on AWS"), "set image.base and image.docker in mayfly.yaml, and run mayfly deploy")
	}
	cloud, state, err := openStack(ctx, all)
	if err != nil {
		return err
	}
	cloud.Stack.Look, cloud.Tell = c.Look, tellProgress(screen)
	from, err := imageOnAWS{Source: c.Source, Version: c.Version, SHA256: c.SHA256, Archive: c.Archive}.from(cloud.setup)
	if err != nil {
		return err
	}
	settings, err := stack.Of(cloud.setup.Config)
	if err != nil {
		return err
	}
	architectures := settings.Architectures()
	if c.Archive != "" { // of one only
		if !slices.Contains(architectures, from.Arch) {
			return cli.Usage(fmt.Errorf("archive %s is for %s, and no pool has such hosts", c.Archive, from.Arch), "the pools' architectures are %s", strings.Join(architectures, ", "))
		}
		architectures = []string{from.Arch}
	}
	begin, built := time.Now(), map[string]string{}
	err = cloud.BuildImages(ctx, state, from, architectures, func(arch, digest string) {
		built[arch] = digest
		if !c.JSON {
			fmt.Fprintf(screen.Out, "built %s for %s in %s\n", digest, arch, cli.Duration(time.Since(begin)))
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(built)
	}
	return nil
}
