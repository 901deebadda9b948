package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/fleet/sandbox"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

type configCheckCmd struct {
	JSON    bool `help:"Print JSON."`
	Secrets bool `help:"Look up the secrets, too." negatable:"" default:"true"`
}

// Run reads the configuration as mayfly up does.
func (c *configCheckCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	warnings, pools, err := c.check(ctx, all.Config)
	var faults config.Faults
	if err != nil && !(c.JSON && errors.As(err, &faults)) {
		return err
	}
	if c.JSON {
		if err := screen.JSON(map[string]any{
			"file": all.Config, "faults": append(config.Faults{}, faults...), "warnings": append(config.Faults{}, warnings...),
		}); err != nil {
			return err
		}
		return err // said on standard error, too, with its code
	}
	for _, w := range warnings {
		fmt.Fprintln(screen.Out, screen.Paint(cli.Yellow, "warning:"), cli.Printable(w.Error()))
	}
	fmt.Fprintf(screen.Out, "%s: no faults, pools: %d\n", tool.Relative(all.Config), pools)
	return nil
}

// check returns what is questionable, and the error of what is wrong.
func (c *configCheckCmd) check(ctx context.Context, path string) (warnings config.Faults, pools int, err error) {
	s, err := readSetup(path)
	if err != nil {
		return nil, 0, err
	}
	machine, err := fleet.Host()
	if err != nil {
		return nil, 0, err
	}
	if err := s.checkSandbox(); err != nil {
		return nil, 0, err
	}
	warnings = append(s.Lint(machine), s.checkEngine(ctx)...)
	if c.Secrets {
		if err := s.ResolveSecrets(); err != nil {
			return nil, 0, err
		}
		warnings = append(warnings, s.Secrets.Lint(s.Config)...)
	}
	return warnings, len(s.Pools), nil
}

// checkSandbox finds a pool that the sandbox cannot run, where that was chosen.
func (s *setup) checkSandbox() error {
	if s.Platform == config.PlatformAWS || s.Launcher != machine.Sandbox {
		return nil
	}
	for i, p := range s.Limits.Pools {
		if err := sandbox.Check(p); err != nil {
			var no *fleet.Refusal
			key := ""
			if errors.As(err, &no) {
				key = "." + no.Key
			}
			return machine.Refused(s.FaultAt(fmt.Sprintf("pools[%d]%s", i, key), "pool %q: %v", p.Name, err), err)
		}
	}
	return nil
}

// checkEngine says what is questionable about the engine that a configuration means, as
// far as it can be asked now.
func (s *setup) checkEngine(ctx context.Context) config.Faults {
	if s.Platform == config.PlatformAWS || s.Launcher == machine.Sandbox {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // an engine that starts many containers answers late
	defer cancel()
	socket, err := docker.Find(ctx, s.sockets()...)
	if err != nil && s.Engine.Socket == "" && s.Launcher == machine.Auto && !machine.EngineInstalled() {
		return nil // runners are sandboxes then
	} else if err != nil {
		return s.Config.FaultAt("engine.socket", "%s: mayfly up will not start: %s", cli.Printable(err.Error()), machine.HowToStart())
	}
	troubles, err := machine.EngineLimits(ctx, socket)
	if err != nil {
		return s.Config.FaultAt("engine.socket", "limits of runners cannot be checked: %v", err)
	}
	var found config.Faults
	for _, t := range troubles {
		found = append(found, s.Config.FaultAt("engine.socket", "%s", t)...)
	}
	return append(found, s.checkIsolation(ctx, socket)...)
}

// checkIsolation finds pools that the engine on socket refuses.
func (s *setup) checkIsolation(ctx context.Context, socket string) (found config.Faults) {
	for i, p := range s.Limits.Pools {
		var no *fleet.Refusal
		if err := engine.Check(ctx, socket, p.Isolation); errors.As(err, &no) {
			found = append(found, s.Config.FaultAt(fmt.Sprintf("pools[%d].%s", i, no.Key), "pool %q: %v: mayfly up will not start: %s", p.Name, err, no.Hint)...)
		} else if err != nil {
			found = append(found, s.Config.FaultAt("engine.socket", "pool %q cannot be checked: %v", p.Name, err)...)
		}
	}
	return found
}
