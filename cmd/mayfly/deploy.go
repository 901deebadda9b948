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
)

// deployCmd is `mayfly deploy`.
type deployCmd struct {
	PrintTemplate bool          `help:"Print the stack's template and exit."`
	Plan          bool          `help:"Show what would change, and change nothing."`
	JSON          bool          `help:"With --plan, print JSON."`
	NoStack       bool          `help:"Leave creating and updating the stack to something else, such as Terraform. Without a stack, stop after the artifacts."`
	Programs      string        `help:"Folder with prebuilt programs for AWS: ARCH/NAME." type:"existingdir" placeholder:"DIR"`
	Parameters    string        `help:"Write the template's parameters to this file, as JSON." type:"path" placeholder:"FILE"`
	Ignore        bool          `name:"ignore-permissions" help:"Go on although IAM's simulation finds missing permissions."`
	Look          time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
	imageOnAWS
}

// Run deploys the stack, or updates it to match the configuration.
func (c *deployCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) error {
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
func (c *deployCmd) open(ctx context.Context, all *commands, screen *cli.Screen) (*rollout.Deployment, error) {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := cloud.resolve(); err != nil {
		return nil, err
	}
	from, err := c.from(cloud.setup)
	if err != nil {
		return nil, err
	}
	settings, template, err := render(cloud.setup)
	if err != nil {
		return nil, err
	}
	forge, err := github.New(cloud.forge())
	if err != nil {
		return nil, err
	}
	d := rollout.NewDeployment(cloud.Site, rollout.Access{Secrets: cloud.secrets, CA: cloud.ca, Forge: forge}, settings, template)
	d.Image, d.NoStack, d.Programs, d.Unpermitted = from, c.NoStack, c.Programs, c.Ignore
	d.Stack.Look, d.Tell = c.Look, tellProgress(screen)
	d.ByHand = func(m github.Manual) { printManual(screen, "GitHub", m) }
	return d, nil
}

func printTemplate(all *commands, screen *cli.Screen) error {
	s, err := readSetup(all.Config)
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
func render(s setup) (stack.Settings, stack.Template, error) {
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
		note := ""
		if change.Replaced {
			note = "replaced"
		}
		rows = append(rows, cli.Text(change.Action, change.Resource, change.Type, note))
	}
	screen.Table([]string{"ACTION", "RESOURCE", "TYPE", "NOTE"}, rows)
	return nil
}
