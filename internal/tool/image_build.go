package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
)

// ImageBuild is `mayfly image build`.
type ImageBuild struct {
	PlatformFlag
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of the forge's runner, such as 2.336.0; the newest by default." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of the runner's archive, as its release says; those of the newest are known." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"The runner's archive, in place of a download: actions-runner-linux-x64-VERSION.tar.gz, or gitea-runner-VERSION-linux-amd64." type:"existingfile" placeholder:"FILE"`
	Base    string `help:"Image to build on, in place of the Dockerfile's." placeholder:"IMAGE"`
	Docker  bool   `help:"Add Docker's command line and buildx."`
	JSON    bool   `help:"Print JSON."`

	Look time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
}

// Run builds an image.
func (c *ImageBuild) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	return all.Program.Platform.Images(Call{all, screen, log}, Reading{PlatformFlag: c.PlatformFlag}).Build(ctx, c)
}

// imageListCmd is `mayfly image list`.
type imageListCmd struct {
	PlatformFlag
	JSON bool `help:"Print JSON."`
}

// Run lists what the engine has, or the stack's repository.
func (c *imageListCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	images, err := all.Program.Platform.Images(Call{all, screen, log}, Reading{PlatformFlag: c.PlatformFlag}).List(ctx)
	if err != nil {
		return err
	}
	var rows [][]cli.Cell
	for _, i := range images {
		rows = append(rows, cli.Text(image.Digest(i.Digest).Short(), i.Version, i.Revision, cli.Duration(time.Since(i.Built))+" ago",
			fmt.Sprintf("%d MB", i.Bytes/1e6), i.Tag))
	}
	return Listing{
		JSON: append([]image.Stored{}, images...), Rows: rows, Head: []string{"IMAGE", "RUNNER", "SOURCE", "BUILT", "SIZE", "TAG"},
	}.print(screen, c.JSON)
}

// NewestRunner asks a feed for the newest release.
func NewestRunner(ctx context.Context, feed release.Feed) (image.Release, error) {
	answer, err := feed.Latest(ctx, "")
	if err != nil {
		return image.Release{}, cli.Hint(cli.WithCode(fmt.Errorf("asking for the newest runner: %w", err), cli.ExitForge), "%s", archive.ReleasesHint(feed.Product))
	}
	released, ok := answer.(image.Released)
	if !ok {
		return image.Release{}, cli.Hint(fmt.Errorf("asking for the newest runner: %T is no release", answer), "%s", archive.ReleasesHint(feed.Product))
	}
	return released.Release, nil
}

// ExplainArchive gives the errors of a product's archive their hints.
func ExplainArchive(p forge.Product, err error) error {
	var refused *archive.Refused
	switch {
	case errors.Is(err, archive.ErrChecksum):
		return cli.Hint(err, "no image was built: get the archive again, and the checksum from the notes of its release")
	case errors.Is(err, archive.ErrContent):
		return cli.Hint(err, "an archive is what %s has for Linux: %s", p.Page, p.File("VERSION", "amd64"))
	case errors.Is(err, archive.ErrVersion):
		return cli.Usage(err, "the file's name does not say it: name it with --runner-version")
	case errors.As(err, &refused):
		return cli.Hint(cli.WithCode(err, cli.ExitForge), "get the archive by other means, and give it with --agent-archive")
	}
	return err
}
