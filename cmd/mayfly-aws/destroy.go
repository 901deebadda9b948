package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// destroyCmd is `mayfly destroy`.
type destroyCmd struct{ tool.Destroy }

// Run takes the stack down, and proves it by listing what is left: exit code 1 when
// something is.
func (c *destroyCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return err
	}
	if err := cloud.ResolveSecrets(); err != nil {
		return err
	}
	d := &rollout.Destruction{Site: cloud.Site, KeepData: c.KeepData}
	if d.Forge, err = github.New(cloud.AtGitHub()); err != nil {
		return err
	}
	d.Stack.Look, d.Tell = c.Look, tellProgress(screen)
	if err := d.Begin(ctx); err != nil {
		return err
	}
	if err := c.ask(os.Stdin, screen, cloud.Site); err != nil {
		return err
	}
	if err := d.Run(ctx); err != nil {
		return err
	}
	left, err := d.Left(ctx)
	return errors.Join(err, c.report(screen, cloud.Stack.Name, left))
}

// ask makes the person who runs it type the stack's name.
func (c *destroyCmd) ask(in io.Reader, screen *cli.Screen, s *rollout.Site) error {
	if c.Yes {
		return nil
	}
	screen.Notef("This removes stack %s from account %s in %s, and its webhook and runners from GitHub.\nEnter the stack's name to go on:", s.Stack.Name, s.Account.ID, s.Account.Region())
	name, err := bufio.NewReader(in).ReadString('\n')
	if name = strings.TrimSpace(name); name != s.Stack.Name {
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return cli.Usage(fmt.Errorf("%q is not the stack's name, %q; nothing was removed", name, s.Stack.Name), "--yes does not ask")
	}
	return nil
}

func (c *destroyCmd) report(screen *cli.Screen, stack string, r rollout.Remainder) error {
	if c.JSON {
		if err := screen.JSON(r); err != nil {
			return err
		}
	} else {
		for _, t := range r.Kept {
			fmt.Fprintf(screen.Out, "kept: %s\n", t)
		}
		for _, t := range r.Left {
			fmt.Fprintf(screen.Out, "left: %s\n", t)
		}
	}
	if len(r.Left) > 0 {
		return cli.Hint(fmt.Errorf("left of stack %s: %s", stack, deploy.Describe(r.Left)), "AWS removes some things minutes later: run mayfly destroy again to see what is left then")
	}
	if !c.JSON {
		fmt.Fprintf(screen.Out, "nothing else is left of stack %s, at AWS and at GitHub\n", stack)
	}
	return nil
}
