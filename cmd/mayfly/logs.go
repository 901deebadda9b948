package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// logsCmd is `mayfly logs`.
type logsCmd struct {
	Runner string `arg:"" help:"The runner, as mayfly runners lists it."`
	Follow bool   `short:"f" help:"Go on until the runner has ended."`
	Lines  int    `help:"How many lines of what it printed so far, at most." default:"1000"`
	State  string `help:"State folder, in place of the configuration's." type:"path" placeholder:"DIR"`
}

// Run prints what a live runner's container prints.
func (c *logsCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	state := c.State
	if state == "" {
		file, err := config.ReadPart(all.Config)
		if err != nil {
			return err
		}
		if file.Platform == config.PlatformAWS {
			return cli.Usage(errors.New("runners on AWS print to CloudWatch Logs"), "aws logs tail --follow, with the log group of the stack (docs/aws.md)")
		}
		state = file.Abs(file.State)
	}
	if !disk.InUse(filepath.Join(state, machine.DatabaseName)) {
		return cli.Hint(errors.New("no mayfly up uses "+state), "mayfly runners NAME shows what a runner that is gone printed last")
	}
	order := machine.LogOrder{Runner: c.Runner, LogQuery: fleet.LogQuery{Lines: c.Lines, Follow: c.Follow}}
	return machine.Logs(ctx, state, order, screen.Out)
}
