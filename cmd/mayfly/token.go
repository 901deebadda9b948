package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// tokenCmd is `mayfly token`.
type tokenCmd struct {
	At     string   `arg:"" help:"Where the runner belongs: acme/web, acme or enterprises/SLUG."`
	JIT    bool     `help:"A JIT configuration for one runner and one job, in place of a registration token." name:"jit"`
	Name   string   `help:"Name of the runner, with --jit." placeholder:"NAME"`
	Labels []string `help:"Labels of the runner, with --jit." placeholder:"LABEL"`
	Group  string   `help:"Runner group by name or id, with --jit." default:"Default"`
	JSON   bool     `help:"Print JSON, with the secret in it."`
}

// Validate is called by kong.
func (c *tokenCmd) Validate() error {
	if c.JIT && (c.Name == "" || len(c.Labels) == 0) {
		return errors.New("--jit: want --name and --labels")
	}
	return nil
}

// Run asks GitHub and prints what a person needs to start a runner by hand. It is
// the one command that prints a secret: that is what it is for.
func (c *tokenCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	scope, err := github.ParseScope(c.At)
	if err != nil {
		return cli.Usage(err, "mayfly token --help shows the forms")
	}
	forge, err := tool.ForgeFor(all.Config)
	if err != nil {
		return err
	}
	var ticket github.Ticket
	if c.JIT {
		ticket, err = forge.JITTicket(ctx, scope, github.JITRequest{Name: c.Name, Labels: c.Labels, Group: c.Group})
	} else {
		ticket, err = forge.TokenTicket(ctx, scope)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(struct {
			github.Ticket
			Secret string `json:"secret"`
		}{ticket, ticket.Secret.Reveal()})
	}
	fmt.Fprintln(screen.Out, ticket.Command())
	screen.Notef("good until %s", ticket.Expires.Local().Format(time.RFC1123))
	if u, err := url.Parse(ticket.URL); err == nil && u.Port() != "" && !c.JIT {
		screen.Notef("config.sh of GitHub's runner drops port %s and so does not reach %s: use --jit, or serve that on port 80 (mayfly sim --listen :80)", u.Port(), u.Host)
	}
	return nil
}
