package tool

import (
	"context"

	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// ImageCommands are those of images that both programs have.
type ImageCommands struct {
	Build    ImageBuild       `cmd:"" help:"Build an image from a release of the forge's runner."`
	List     imageListCmd     `cmd:"" help:"List the images that were built."`
	Status   imageStatusCmd   `cmd:"" help:"Which image is current, what comes next, and how long the forge takes its runner."`
	Promote  imagePromoteCmd  `cmd:"" help:"Have runners start from an image."`
	Rollback imageRollbackCmd `cmd:"" help:"Go back to the image that was current before."`
}

// imageReading says of which images there is to read. On AWS each architecture has a
// catalog of its own.
type imageReading struct {
	Reading
	Architecture string `help:"On AWS: whose images, amd64 or arm64. By default those of the first pool that has none of its own." enum:",amd64,arm64" default:"" placeholder:"ARCH"`
}

// AfterApply implements kong's hook.
func (r *imageReading) AfterApply() error {
	r.Catalog = r.Architecture
	return nil
}

// imageStatusCmd is `mayfly image status`.
type imageStatusCmd struct{ imageReading }

// Run prints how images stand.
func (c *imageStatusCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	v, err := from.ReadImages(ctx, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(v)
	}
	printImages(screen, v)
	return nil
}

func printImages(screen *cli.Screen, v *inspect.Images) {
	for _, f := range [][2]string{
		{"current", currentLine(v)}, {"next", v.Next}, {"release", releaseLine(v)}, {"feed", feedLine(v.Feed)},
	} {
		if f[1] != "" {
			fmt.Fprintf(screen.Out, "%s %s\n", screen.Paint(cli.Grey, fmt.Sprintf("%-9s", f[0])), cli.Printable(f[1]))
		}
	}
	for _, a := range v.Alarms {
		fmt.Fprintln(screen.Out, screen.Paint(cli.Red, "alarm:"), cli.Printable(a.Message))
	}
	fmt.Fprintln(screen.Out)
	var rows [][]cli.Cell
	for _, i := range v.Images {
		row := cli.Text(i.Digest.Short(), string(i.Version), i.Revision, string(i.State), cli.Duration(time.Since(i.Since)), startsOf(v, i.Digest), i.Reason)
		row[3].Colour = imageColour(i.State)
		rows = append(rows, row)
	}
	screen.Table([]string{"IMAGE", "RUNNER", "SOURCE", "STATE", "FOR", "STARTS FAILED", "REASON"}, rows)
}

// currentLine says what is current, and for how long it will do.
func currentLine(v *inspect.Images) string {
	if v.Current == nil {
		return "none: runners of pools without an image of their own wait"
	}
	line := fmt.Sprintf("%s, runner %s, since %s", v.Current.Digest.Short(), v.Current.Version, Stamp(v.Current.Since))
	if v.Runway == nil && v.Release.Lasting {
		return line + "; the forge takes runners of any age"
	}
	if v.Runway == nil {
		return line + "; no newer release, so no end is known"
	}
	return line + "; GitHub refuses it " + image.Days(time.Until(v.Runway.End)) + " (" + v.Runway.End.Local().Format("2006-01-02") + ")"
}

func releaseLine(v *inspect.Images) string {
	if v.Release.Version == "" {
		return ""
	}
	return fmt.Sprintf("%s, published %s", v.Release.Version, v.Release.Published.Local().Format("2006-01-02"))
}

func feedLine(f image.Feed) string {
	switch {
	case f.Reason != "":
		return fmt.Sprintf("does not answer since %s, asked again %s: %s", Stamp(f.Answered), Stamp(f.Next), f.Reason)
	case f.Answered.IsZero():
		return "not asked yet"
	}
	return fmt.Sprintf("answered %s, asked again %s", Stamp(f.Answered), Stamp(f.Next))
}

func startsOf(v *inspect.Images, digest image.Digest) string {
	starts, some := v.Starts[digest]
	if !some {
		return "-"
	}
	return starts.String()
}

func imageColour(s image.State) cli.Colour {
	switch s {
	case image.StateCurrent:
		return cli.Green
	case image.StateFailed:
		return cli.Red
	case image.StateBuilt, image.StateCanary:
		return cli.Yellow
	}
	return cli.Grey
}

// imagePromoteCmd is `mayfly image promote`.
type imagePromoteCmd struct {
	imageReading
	Digest string `arg:"" help:"Digest of the image, or its beginning."`
	Force  bool   `help:"Even if its canary has not passed."`
}

// Run makes an image the current one.
func (c *imagePromoteCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	return c.orderImage(ctx, all, screen, log, image.Order{Promote: &image.Promote{Digest: image.Digest(c.Digest), Force: c.Force}})
}

// imageRollbackCmd is `mayfly image rollback`.
type imageRollbackCmd struct {
	imageReading
	Reason string `help:"Why, for whoever asks later." default:"rolled back by hand" placeholder:"TEXT"`
}

// Run makes the image before the current one. The one that was current will not be so by
// itself again.
func (c *imageRollbackCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	return c.orderImage(ctx, all, screen, log, image.Order{Rollback: &image.Rollback{Reason: c.Reason}})
}

// orderImage has an order carried out and says what is current then.
func (r Reading) orderImage(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger, o image.Order) error {
	current, err := all.Program.Platform.Images(Call{all, screen, log}, r).Order(ctx, o)
	if err != nil {
		return cli.HintIfNone(err, "mayfly image canary ID tries an image, and mayfly image promote --force takes it without; "+
			"mayfly image status tells why each is where it is")
	}
	if r.JSON {
		return screen.JSON(map[string]image.Digest{"current": current})
	}
	fmt.Fprintf(screen.Out, "current is %s: the next runners start from it\n", current)
	return nil
}
