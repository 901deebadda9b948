package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/gitea/giteademo"
)

// demos play the sample, by the forge; the others play at a simulated GitHub.
var demos = map[string]func(*demoCmd, context.Context, *cli.Screen) error{config.ForgeGitea: (*demoCmd).playGitea}

// playGitea runs the sample in a real Gitea of this machine.
func (c *demoCmd) playGitea(ctx context.Context, screen *cli.Screen) error {
	mayfly, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Within, fmt.Errorf("demo: not done within %v", c.Within))
	defer cancel()
	r, err := giteademo.Play(ctx, giteademo.Config{Mayfly: mayfly, Gitea: c.Gitea, Runner: c.GiteaRunner, Dir: c.State, Say: screen.Notef})
	if errors.Is(err, exec.ErrNotFound) {
		return cli.Usage(err, "install Gitea and its runner, or name them with --gitea and --gitea-runner; make forge builds both")
	} else if err != nil {
		return err
	}
	fmt.Fprintf(screen.Out, "jobs: %d, as expected: %d; registrations left: %d\n", len(r.Jobs), r.AsExpected, r.Left)
	if r.AsExpected != len(r.Jobs) || r.Left > 0 {
		return cli.Hint(errDemo, "--state keeps the folder with mayfly.log")
	}
	return nil
}
