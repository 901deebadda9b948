package main

import (
	"context"

	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

// imageReading says of which images there is to read. On AWS each architecture has a
// catalog of its own.
type imageReading struct {
	reading
	Architecture string `help:"On AWS: whose images, amd64 or arm64. By default those of the first pool that has none of its own." enum:",amd64,arm64" default:"" placeholder:"ARCH"`
}

// AfterApply implements kong's hook.
func (r *imageReading) AfterApply() error {
	r.architecture = r.Architecture
	return nil
}

// imageStatusCmd is `mayfly image status`.
type imageStatusCmd struct{ imageReading }

// An imageView is how images stand.
type imageView struct {
	Current *image.Image  `json:"current"` // null when none is
	Runway  *runway       `json:"runway"`  // null when no end is known
	Next    string        `json:"next"`    // what leads to a newer image
	Alarms  []image.Alarm `json:"alarms"`
	Release image.Release `json:"release"` // the newest that is known
	Feed    image.Feed    `json:"feed"`
	Build   *image.Build  `json:"build"`
	Images  []image.Image `json:"images"`

	// Starts tells how the last runners from each image started, where the ledger has some.
	// Only `mayfly image status` looks.
	Starts map[image.Digest]image.Starts `json:"starts,omitempty"`
}

// A runway is how long GitHub goes on to take the version that runs.
type runway struct {
	Days float64   `json:"days"` // negative when the end has passed
	End  time.Time `json:"end"`
}

func viewImages(c *image.Catalog, now time.Time) *imageView {
	v := &imageView{
		Next: c.Next(now), Alarms: append([]image.Alarm{}, c.Alarms(now)...), Release: c.Release, Feed: c.Feed, Build: c.Build,
		Images: append([]image.Image{}, c.Images...),
	}
	if current, some := c.Current(); some {
		v.Current = &current
	}
	if left, end := c.Runway(now); !end.IsZero() {
		v.Runway = &runway{Days: left.Hours() / 24, End: end}
	}
	return v
}

// Run prints how images stand.
func (c *imageStatusCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.close()
	catalog, err := from.images(ctx)
	if err != nil {
		return err
	}
	v := viewImages(catalog, time.Now())
	if err := v.readStarts(ctx, from.ledger); err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(v)
	}
	printImages(screen, v)
	return nil
}

func (v *imageView) readStarts(ctx context.Context, list pipeline.RunnerList) error {
	v.Starts = map[image.Digest]image.Starts{}
	for _, i := range v.Images {
		if i.Promoted.IsZero() {
			continue
		}
		starts, err := pipeline.Starts(ctx, list, i.Digest, time.Time{})
		if err != nil {
			return err
		}
		if starts.All > 0 {
			v.Starts[i.Digest] = starts
		}
	}
	return nil
}

func printImages(screen *cli.Screen, v *imageView) {
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
		row := cli.Text(i.Digest.Short(), string(i.Version), i.Revision, string(i.State), cli.Duration(time.Since(i.Since)), v.startsOf(i.Digest), i.Reason)
		row[3].Colour = imageColour(i.State)
		rows = append(rows, row)
	}
	screen.Table([]string{"IMAGE", "RUNNER", "SOURCE", "STATE", "FOR", "STARTS FAILED", "REASON"}, rows)
}

// currentLine says what is current, and for how long it will do.
func currentLine(v *imageView) string {
	if v.Current == nil {
		return "none: runners of pools without an image of their own wait"
	}
	line := fmt.Sprintf("%s, runner %s, since %s", v.Current.Digest.Short(), v.Current.Version, stamp(v.Current.Since))
	if v.Runway == nil {
		return line + "; no newer release, so no end is known"
	}
	return line + "; GitHub refuses it " + image.Days(time.Until(v.Runway.End)) + " (" + v.Runway.End.Local().Format("2006-01-02") + ")"
}

func releaseLine(v *imageView) string {
	if v.Release.Version == "" {
		return ""
	}
	return fmt.Sprintf("%s, published %s", v.Release.Version, v.Release.Published.Local().Format("2006-01-02"))
}

func feedLine(f image.Feed) string {
	switch {
	case f.Reason != "":
		return fmt.Sprintf("does not answer since %s, asked again %s: %s", stamp(f.Answered), stamp(f.Next), f.Reason)
	case f.Answered.IsZero():
		return "not asked yet"
	}
	return fmt.Sprintf("answered %s, asked again %s", stamp(f.Answered), stamp(f.Next))
}

func (v *imageView) startsOf(digest image.Digest) string {
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

// imageCanaryCmd is `mayfly image canary`.
type imageCanaryCmd struct {
	Image  string        `arg:"" help:"Digest or name of an image that the engine has."`
	Within time.Duration `help:"Give up after this time." default:"5m"`
}

// Run runs a canary job.
func (c *imageCanaryCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	if all.LogLevel == "info" { // the outcome says all
		log = slog.New(slog.NewTextHandler(screen.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := rehearsal.Try(ctx, rehearsal.Canary{Image: c.Image, Within: c.Within, Sockets: settings.Sockets, Log: log}); err != nil {
		return cli.HintIfNone(fmt.Errorf("canary in image %s: %w", c.Image, err), "the image is not fit for jobs; --log-level debug shows each step")
	}
	fmt.Fprintf(screen.Out, "image %s: its runner registered, ran the canary job and left, in %s\n", c.Image, cli.Duration(time.Since(begin)))
	return nil
}

// imagePromoteCmd is `mayfly image promote`.
type imagePromoteCmd struct {
	imageReading
	Digest string `arg:"" help:"Digest of the image, or its beginning."`
	Force  bool   `help:"Even if its canary has not passed."`
}

// Run makes an image the current one.
func (c *imagePromoteCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	o := machine.ImageOrder{Promote: &image.Promote{Digest: image.Digest(c.Digest), Force: c.Force}}
	if aws, err := c.onAWS(all); err == nil && !aws {
		c.fresh, o.Built = true, builtHere(ctx, all, o.Promote.Digest)
	}
	return c.orderImage(ctx, all, screen, log, o)
}

// builtHere returns an image that was built on this machine, which the catalog need not
// know of: mayfly image build runs before there is one, too. It is nil where no engine has it.
func builtHere(ctx context.Context, all *commands, digest image.Digest) *image.Built {
	list, err := listInEngine(ctx, all)
	if err != nil {
		return nil // without an engine there is what the catalog knows
	}
	var built image.Catalog
	for _, i := range list {
		built.Images = append(built.Images, image.Image{Digest: image.Digest(i.Digest), Version: image.Version(i.Version), Revision: i.Revision})
	}
	found, ok := built.Find(digest)
	if !ok {
		return nil
	}
	return &image.Built{Digest: found.Digest, Version: found.Version, Revision: found.Revision}
}

// imageRollbackCmd is `mayfly image rollback`.
type imageRollbackCmd struct {
	imageReading
	Reason string `help:"Why, for whoever asks later." default:"rolled back by hand" placeholder:"TEXT"`
}

// Run makes the image before the current one. The one that was current will not be so by
// itself again.
func (c *imageRollbackCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	return c.orderImage(ctx, all, screen, log, machine.ImageOrder{Rollback: &image.Rollback{Reason: c.Reason}})
}

// orderImage has an order carried out and says what is current then.
func (r reading) orderImage(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger, o machine.ImageOrder) error {
	current, err := r.carryOutOrder(ctx, all, log, o)
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

// carryOutOrder has whoever keeps the catalog carry out an order: the database's writer on
// this machine, and on AWS the table.
func (r reading) carryOutOrder(ctx context.Context, all *commands, log *slog.Logger, o machine.ImageOrder) (image.Digest, error) {
	switch aws, err := r.onAWS(all); {
	case err != nil:
		return "", err
	case aws:
		return orderOnAWS(ctx, all, r.architecture, o)
	}
	return askFor[image.Digest](ctx, r, all, log, "/image", o)
}
