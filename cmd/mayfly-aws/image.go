package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/watch"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// openStack returns a stack that is there, and how it stands.
func openStack(ctx context.Context, all *tool.Globals) (*cloud, deploy.State, error) {
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

// images are those of the stack's repository, and its catalogs.
type images struct {
	tool.Call
	architecture string // of the catalog; "" for that of the first pool that has no image of its own
}

// List implements [tool.Images].
func (i images) List(ctx context.Context) (all []image.Stored, err error) {
	c, state, err := openStack(ctx, i.Globals)
	if err != nil {
		return nil, err
	}
	list, err := c.Images(state).List(ctx)
	for _, i := range list {
		all = append(all, image.Stored{
			Digest: i.Digest, Tag: i.Tag, Version: i.Version, Revision: i.Revision, Architecture: i.Architecture, Built: i.Pushed, Bytes: i.Bytes,
		})
	}
	return all, err
}

// Build builds in CodeBuild, with the log on standard error. Whether the image is to
// be current is for the stack's release function, which hears of the build's end.
func (i images) Build(ctx context.Context, c *tool.ImageBuild) error {
	if c.Base != "" || c.Docker {
		return cli.Usage(errors.New("--base and --docker are not supported on AWS"), "set image.base and image.docker in mayfly.yaml, and run mayfly deploy")
	}
	cloud, state, err := openStack(ctx, i.Globals)
	if err != nil {
		return err
	}
	cloud.Stack.Look, cloud.Tell = c.Look, tellProgress(i.Screen)
	from, err := imageFrom(tool.ImageFlags{Source: c.Source, Version: c.Version, SHA256: c.SHA256, Archive: c.Archive}, cloud.Setup)
	if err != nil {
		return err
	}
	settings, err := stack.Of(cloud.Setup.Config)
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
			fmt.Fprintf(i.Screen.Out, "built %s for %s in %s\n", digest, arch, cli.Duration(time.Since(begin)))
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return i.Screen.JSON(built)
	}
	return nil
}

// Order implements [tool.Images]. What else follows from it, the release function does.
func (i images) Order(ctx context.Context, o image.Order) (image.Digest, error) {
	c, err := openCloud(ctx, i.Globals)
	if err != nil {
		return "", err
	}
	state, err := c.Running(ctx)
	if err != nil {
		return "", err
	}
	architecture := c.Architecture(i.architecture)
	tasks := build.NewTasks(c.Account.Config, c.Stack.Name, state.Outputs["RepositoryUri"])
	bus := eventbus.New(c.Account.Config, state.Outputs["BusName"])
	return watch.New(watch.Config{
		Store: c.Catalog(state, architecture), Log: slog.New(slog.DiscardHandler), // the outcome says all
		Promote: func(ctx context.Context, e image.PromoteImage) error {
			return tasks.Launch(ctx, architecture, e, bus.Put, time.Now())
		},
	}).Order(ctx, o)
}
