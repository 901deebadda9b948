package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// deployCmd is `mayfly deploy`.
type deployCmd struct{ tool.Deploy }

// Run deploys the stack, or updates it to match the configuration.
func (c *deployCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	if c.PrintTemplate {
		return printTemplate(all, screen)
	}
	d, err := c.open(ctx, all, screen)
	if err != nil {
		return err
	}
	if err := d.Check(ctx); err != nil {
		return err
	}
	if err := d.Prepare(ctx); err != nil {
		return err
	}
	if c.Parameters != "" {
		if err := writeParameters(c.Parameters, d.Parameters); err != nil {
			return err
		}
	}
	if c.Plan {
		changes, err := d.Plan(ctx)
		if err != nil {
			return err
		}
		return c.printPlan(screen, changes)
	}
	begin := time.Now()
	if err := d.Upload(ctx); err != nil {
		return err
	}
	if c.NoStack && !d.Exists() {
		screen.Notef("the artifacts are in %s; create stack %s, and run this again", d.BucketName(), d.Stack.Name)
		return nil
	}
	if err := d.BringUp(ctx); err != nil {
		return err
	}
	fmt.Fprintf(screen.Out, "stack %s in %s is up, after %s\n", d.Stack.Name, d.Account.Region(), cli.Duration(time.Since(begin)))
	return nil
}

// open reads the configuration and what it refers to.
func (c *deployCmd) open(ctx context.Context, all *tool.Globals, screen *cli.Screen) (*rollout.Deployment, error) {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := cloud.ResolveSecrets(); err != nil {
		return nil, err
	}
	from, err := imageFrom(c.ImageFlags, cloud.Setup)
	if err != nil {
		return nil, err
	}
	settings, template, err := render(cloud.Setup)
	if err != nil {
		return nil, err
	}
	forge, err := github.New(cloud.AtGitHub())
	if err != nil {
		return nil, err
	}
	d := rollout.NewDeployment(cloud.Site, rollout.Access{Secrets: cloud.Setup.Secrets, CA: cloud.Certificates, Forge: forge}, settings, template)
	d.Image, d.NoStack, d.Programs, d.Unpermitted, d.Losses = from, c.NoStack, c.Programs, c.Ignore, c.AllowLoss
	d.Stack.Look, d.Tell = c.Look, tellProgress(screen)
	d.ByHand = func(m github.Manual) { tool.PrintManual(screen, m) }
	return d, nil
}

func printTemplate(all *tool.Globals, screen *cli.Screen) error {
	s, err := tool.ReadSetup(all.Config)
	if err != nil {
		return err
	}
	_, template, err := render(s)
	if err != nil {
		return err
	}
	_, err = screen.Out.Write(template.Body)
	return err
}

// render makes the stack's template.
func render(s tool.Setup) (stack.Settings, stack.Template, error) {
	settings, err := stack.Of(s.Config)
	if err != nil {
		return settings, stack.Template{}, cli.Usage(err, "docs/config.md lists the keys of aws:")
	}
	template, err := stack.Render(settings)
	if err != nil {
		return settings, template, cli.Usage(err, "docs/aws.md lists the limits of a stack")
	}
	return settings, template, nil
}

// tellProgress prints what a step reports. Of a resource it prints what has ended or failed,
// and what takes long.
func tellProgress(screen *cli.Screen) func(rollout.Progress) {
	return func(p rollout.Progress) {
		r := p.Resource
		status := r.Status
		switch {
		case p.Text != "":
			screen.Notef("%s", cli.Printable(p.Text))
			return
		case strings.HasSuffix(r.Status, "_IN_PROGRESS") && !r.Waits():
			return
		case strings.HasSuffix(r.Status, "_FAILED"):
			status = screen.Paint(cli.Red, r.Status)
		}
		line := fmt.Sprintf("  %s %s (%s)", status, r.Resource, r.Type)
		if r.Reason != "" {
			line += ": " + cli.Printable(r.Reason)
		}
		screen.Notef("%s", line)
	}
}

// writeParameters writes the template's parameters for whatever makes the stack.
func writeParameters(file string, parameters map[string]string) error {
	text, err := json.MarshalIndent(parameters, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// printPlan shows what would change.
func (c *deployCmd) printPlan(screen *cli.Screen, changes []deploy.Change) error {
	if c.JSON {
		return screen.JSON(append([]deploy.Change{}, changes...))
	}
	var rows [][]cli.Cell
	for _, change := range changes {
		rows = append(rows, cli.Text(change.Action, change.Resource, change.Type, change.Note()))
	}
	screen.Table([]string{"ACTION", "RESOURCE", "TYPE", "NOTE"}, rows)
	return nil
}
