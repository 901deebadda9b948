package main

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// imageFrom opens the image's source, and the archive, if one was given.
func imageFrom(c tool.ImageFlags, s tool.Setup) (from rollout.ImageFrom, err error) {
	if c.Archive != "" {
		var named bool
		if _, from.Arch, named = archive.Actions.ReadName(c.Archive); !named {
			return from, cli.Usage(fmt.Errorf("archive %s: its name does not say which processor it is for", c.Archive), "name it as GitHub does, such as %s", archive.Actions.File("2.336.0", "amd64"))
		}
		if from.Archive, err = archive.Open(archive.Actions, c.Archive, from.Arch, c.Version, c.SHA256); err != nil {
			return from, tool.ExplainArchive(archive.Actions, err)
		}
	}
	folder := s.Image.Source
	if folder != "" {
		folder = s.Abs(folder)
	}
	if c.Source != "" {
		folder, from.Over = c.Source, true
	}
	from.Release = func(ctx context.Context) (image.Release, error) { return releaseOf(ctx, c, s.Image.Feed) }
	from.Files, err = source.Open(folder)
	return from, err
}

// releaseOf is the release of GitHub's runner that was named, or the newest of a feed.
func releaseOf(ctx context.Context, c tool.ImageFlags, feed string) (image.Release, error) {
	if c.Version == "" {
		return tool.NewestRunner(ctx, release.Feed{Product: archive.Actions, URL: feed})
	}
	v, err := image.ParseVersion(c.Version)
	if err != nil || c.SHA256 == "" {
		return image.Release{}, cli.Usage(fmt.Errorf("runner version %q with SHA-256 %q: both are needed", c.Version, c.SHA256), "%s", archive.ReleasesHint(archive.Actions))
	}
	return image.Release{Version: v, SHA256: map[string]string{"amd64": c.SHA256, "arm64": c.SHA256}}, nil
}
