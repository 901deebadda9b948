package main

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// doctorCmd is `mayfly doctor`.
type doctorCmd struct{ tool.Doctor }

// Run checks the stack; exit code 1 when something failed.
func (c *doctorCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return err
	}
	if err := cloud.ResolveSecrets(); err != nil {
		return err
	}
	forge, err := github.New(cloud.AtGitHub())
	if err != nil {
		return err
	}
	report, err := cloud.Examine(ctx, forge)
	if err != nil {
		return err
	}
	if c.JSON {
		err = screen.JSON(report)
	} else {
		_, err = report.WriteTo(screen.Out)
	}
	if err == nil && !report.Healthy() {
		err = cli.Hint(errors.New("some checks failed"), "the hints above say what to do; the output has no secrets, and can be pasted into an issue")
	}
	return err
}
