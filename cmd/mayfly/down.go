package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// downCmd is `mayfly down`.
type downCmd struct {
	Yes        bool          `help:"Do not ask first."`
	Within     time.Duration `help:"How long jobs that run may go on before they are stopped." default:"10m"`
	KeepImages bool          `help:"Keep the images of runners that mayfly built."`
	KeepState  bool          `help:"Keep the database: events, jobs and runners."`
	Webhook    bool          `help:"Remove the webhook at the forge, too."`
	JSON       bool          `help:"Print what is left as JSON."`
}

// Run takes the machine down, and proves it by listing what is left: exit code 1 when
// there is something.
func (c *downCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen, log *slog.Logger) error {
	s, err := readSetup(all.Config)
	if err != nil {
		return err
	}
	if s.Platform == config.PlatformAWS {
		return cli.Usage(errors.New("platform: aws runs nothing on this machine"), "mayfly destroy takes a stack down")
	}
	if err := s.ResolveSecrets(); err != nil {
		return err
	}
	if err := c.ask(os.Stdin, screen, s.State); err != nil {
		return err
	}
	if err := stopUp(ctx, screen, s.State); err != nil {
		return err
	}
	left, err := c.takeDown(ctx, &s, screen, log)
	if err != nil {
		return err
	}
	return c.prove(screen, s.State, left)
}

// ask has the person who runs it agree.
func (c *downCmd) ask(in io.Reader, screen *cli.Screen, state string) error {
	if c.Yes {
		return nil
	}
	screen.Notef("This stops mayfly on this machine and removes its runners, here and at the forge, and %s.\nEnter yes to go on:", state)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if answer = strings.TrimSpace(answer); answer != "yes" {
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return cli.Usage(fmt.Errorf("%q: want yes; nothing was removed", answer), "--yes does not ask")
	}
	return nil
}

// stopUp ends the mayfly up of the state folder, if there is one, and returns when it has
// let go of the database.
func stopUp(ctx context.Context, screen *cli.Screen, state string) error {
	const patience = time.Minute
	path := filepath.Join(state, machine.DatabaseName)
	if !disk.InUse(path) {
		return nil
	}
	screen.Notef("stopping mayfly up")
	if _, err := machine.Ask[struct{}](ctx, state, "/stop", struct{}{}); err != nil {
		return err
	}
	for end := time.Now().Add(patience); disk.InUse(path); {
		if time.Now().After(end) {
			return cli.Hint(fmt.Errorf("mayfly up has not ended within %v", patience),
				"where a service starts it again, end that: systemctl disable --now mayfly")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// takeDown removes what mayfly has made, and returns what is left of it.
func (c *downCmd) takeDown(ctx context.Context, s *setup, screen *cli.Screen, log *slog.Logger) (left []string, err error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	settings.Log, settings.Metrics.Listen = log, ""
	m, err := machine.Open(ctx, settings)
	if err != nil {
		return nil, err
	}
	left, err = m.TakeDown(ctx, machine.Takedown{
		Within: c.Within, KeepImages: c.KeepImages, Webhook: c.Webhook, Say: screen.Notef,
	})
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, err
	}
	return c.clear(s.State, left)
}

// clear removes the state folder when nothing else is left, and returns what is then: the next run
// knows by the database whose containers, registrations and images it has to look for.
func (c *downCmd) clear(state string, left []string) ([]string, error) {
	if c.KeepState || len(left) > 0 {
		return left, nil
	}
	return removeState(state)
}

// removeState removes the state folder, and returns what is left of it: what mayfly has not made stays.
func removeState(state string) (left []string, err error) {
	for _, pattern := range machine.StateFiles() {
		found, err := filepath.Glob(filepath.Join(state, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		}
	}
	entries, err := os.ReadDir(state)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		left = append(left, "file "+filepath.Join(state, e.Name()))
	}
	if err == nil && len(entries) == 0 {
		err = os.Remove(state)
	}
	return left, err
}

// prove prints what is left, which should be nothing.
func (c *downCmd) prove(screen *cli.Screen, state string, left []string) error {
	if c.JSON {
		if err := screen.JSON(map[string][]string{"left": append([]string{}, left...)}); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return cli.Hint(fmt.Errorf("not all is gone:\n  %s", strings.Join(left, "\n  ")), "run mayfly down again: what it needs for that stays in %s. "+
			"A registration stays while the forge has not noticed that its runner was killed, for ten minutes at most", state)
	}
	if !c.JSON {
		kept := ""
		if c.KeepState {
			kept = ", but the database in " + state
		}
		fmt.Fprintf(screen.Out, "nothing is left: no container, sandbox, network, control group, claim, registration or image%s\n", kept)
	}
	return nil
}
