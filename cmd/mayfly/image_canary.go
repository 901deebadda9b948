package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// imageCanaryCmd is `mayfly image canary`.
type imageCanaryCmd struct {
	Image  string        `arg:"" help:"Digest or name of an image that the engine has."`
	Within time.Duration `help:"Give up after this time." default:"5m"`
}

// Run runs a canary job.
func (c *imageCanaryCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen, log *slog.Logger) error {
	if all.LogLevel == "info" { // the outcome says all
		log = slog.New(slog.NewTextHandler(screen.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	settings, err := readImageSettings(all.Config)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := rehearsal.Try(ctx, rehearsal.Canary{Image: c.Image, Stage: stages[settings.forge], Within: c.Within, Sockets: settings.Sockets, Log: log}); err != nil {
		return cli.HintIfNone(fmt.Errorf("canary in image %s: %w", c.Image, err), "the image is not fit for jobs; --log-level debug shows each step")
	}
	fmt.Fprintf(screen.Out, "image %s: its runner registered, ran the canary job and left, in %s\n", c.Image, cli.Duration(time.Since(begin)))
	return nil
}
