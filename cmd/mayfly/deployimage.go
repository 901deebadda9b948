package main

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// imageOnAWS is what the image on AWS is built from.
type imageOnAWS struct {
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of GitHub's runner to build, such as 2.336.0; the newest by default." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of that runner's archive." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"That runner's archive, in place of a download in AWS: actions-runner-linux-x64-VERSION.tar.gz." type:"existingfile" placeholder:"FILE"`
}

// from opens the image's source, and the archive, if one was given.
func (c imageOnAWS) from(s setup) (from rollout.ImageFrom, err error) {
	if c.Archive != "" {
		if from.Arch = archive.Architecture(c.Archive); from.Arch == "" {
			return from, cli.Usage(fmt.Errorf("archive %s: its name does not say which processor it is for", c.Archive), "name it as GitHub does, such as %s", archive.Name("2.336.0", "amd64"))
		}
		if from.Archive, err = archive.Open(c.Archive, from.Arch, c.Version, c.SHA256); err != nil {
			return from, explainArchive(err)
		}
	}
	settings := machine.ImageConfig{Image: s.Image}
	if settings.Source != "" {
		settings.Source = s.Abs(settings.Source)
	}
	if c.Source != "" {
		settings.Source, from.Over = c.Source, true
	}
	from.Release = func(ctx context.Context) (image.Release, error) { return c.release(ctx, s.Image.Feed) }
	from.Files, err = settings.Open()
	return from, err
}

// release is the release of GitHub's runner that was named, or the newest of a feed.
func (c imageOnAWS) release(ctx context.Context, feed string) (image.Release, error) {
	if c.Version == "" {
		return newestRunner(ctx, feed)
	}
	v, err := image.ParseVersion(c.Version)
	if err != nil || c.SHA256 == "" {
		return image.Release{}, cli.Usage(fmt.Errorf("runner version %q with SHA-256 %q: both are needed", c.Version, c.SHA256), rollout.ReleasesHint)
	}
	return image.Release{Version: v, SHA256: map[string]string{"amd64": c.SHA256, "arm64": c.SHA256}}, nil
}
