package tool

import (
	"context"
	"log/slog"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Call is one command's run: what it was given, and where it writes.
type Call struct {
	*Globals
	Screen *cli.Screen
	Log    *slog.Logger
}

// A Platform is where a Mayfly runs: this machine, or AWS. It reads and changes what r names.
type Platform interface {
	// Open opens what there is to read. The caller closes it.
	Open(ctx context.Context, all *Globals, r Reading, log *slog.Logger) (*inspect.Source, error)

	Replays(c Call, r Reading) Replays
	Images(c Call, r Reading) Images

	// Limits are those that a configuration would set.
	Limits(s Setup) ledger.Limits
}

// Replays starts and ends replays.
type Replays interface {
	// Preview counts what o would deliver, and changes nothing.
	Preview(ctx context.Context, o eventlog.ReplayOrder) (eventlog.Preview, error)

	// Start begins o, and returns it as it was begun.
	Start(ctx context.Context, o eventlog.ReplayOrder) (eventlog.ReplayOrder, error)

	// List lists replays, the newest first.
	List(ctx context.Context) (Listing, error)

	Cancel(ctx context.Context, name string) error
}

// Images builds images and changes which one is current.
type Images interface {
	List(ctx context.Context) ([]image.Stored, error)
	Build(ctx context.Context, c *ImageBuild) error

	// Order has whoever keeps the catalog carry out o, and returns the digest of the image that
	// is current then.
	Order(ctx context.Context, o image.Order) (image.Digest, error)
}

// A Listing is a list as JSON and as a table.
type Listing struct {
	JSON any
	Head []string
	Rows [][]cli.Cell
}

// print prints the one or the other.
func (l Listing) print(screen *cli.Screen, asJSON bool) error {
	if asJSON {
		return screen.JSON(l.JSON)
	}
	screen.Table(l.Head, l.Rows)
	return nil
}

// PlatformFlag says where mayfly runs.
type PlatformFlag struct {
	Platform string `help:"Where mayfly runs, in place of the configuration's: machine or aws." enum:",machine,aws" default:"" placeholder:"WHERE"`
}

// OnAWS reports whether that is AWS.
func (p PlatformFlag) OnAWS(c *Globals) (bool, error) {
	if p.Platform != "" {
		return p.Platform == config.PlatformAWS, nil
	}
	s, err := ReadPart(c.Config)
	return s.Config != nil && s.Platform == config.PlatformAWS, err
}

// Reading says what a command reads: the database of this machine, or the stack on AWS.
type Reading struct {
	PlatformFlag
	State string `help:"State folder, in place of the configuration's." type:"path" placeholder:"DIR"`
	JSON  bool   `help:"Print JSON."`

	Catalog string `kong:"-"` // architecture whose images, on AWS; "" for those of the first pool that has none of its own
}

// OnAWS reports whether r is about AWS. A state folder that was named is this machine's, and
// needs no configuration.
func (r Reading) OnAWS(c *Globals) (bool, error) {
	if r.State != "" && r.Platform == "" {
		return false, nil
	}
	return r.PlatformFlag.OnAWS(c)
}

// source opens what r names.
func (r Reading) source(ctx context.Context, all *Globals, log *slog.Logger) (*inspect.Source, error) {
	return all.Program.Platform.Open(ctx, all, r, log)
}
