package machine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/fleet/sandbox"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Kinds of launcher.
const (
	Auto    = "auto"
	Engine  = "engine"
	Sandbox = "sandbox"
)

// A Launch configures where runners run.
type Launch struct {
	Kind     string                  // auto, engine or sandbox
	Sockets  []string                // candidates for the engine's socket; the first that answers is used
	Named    bool                    // a socket was configured, so an engine is required
	Serve    string                  // socket on which to serve Podman's API if none of Sockets answers; "" to serve none
	Programs map[string]string       // for the sandbox: host path → path inside
	Agent    string                  // path of mayfly-agent on this host
	Wrap     func(Launcher) Launcher // wraps the launcher, to measure it; may be nil
}

// A Launcher is a launcher that can remove everything it made.
type Launcher interface {
	fleet.Launcher
	fleet.LogReader
	Purge(ctx context.Context) error
}

// openFleet opens the launcher and its fleet.
func (m *Machine) openFleet(ctx context.Context) (err error) {
	if m.launcher, err = m.openLauncher(ctx); err != nil {
		return err
	}
	if m.config.Launcher.Wrap != nil {
		m.launcher = m.config.Launcher.Wrap(m.launcher)
	}
	m.fleet = fleet.New(fleet.Config{Launcher: m.launcher, Exited: m.exited, Log: m.config.Log})
	m.closers = append(m.closers, func() error { m.fleet.Close(); return nil })
	return nil
}

// openLauncher returns the configured launcher. Auto means the engine if one answers, and otherwise
// the sandbox. If an engine is installed, or its socket is configured, auto means the engine: if it is
// down, that is an error; only a rehearsal falls back.
func (m *Machine) openLauncher(ctx context.Context) (Launcher, error) {
	if m.config.Launcher.Kind == Sandbox {
		return m.openSandbox(ctx)
	}
	var err error
	if m.engine, err = m.openEngine(ctx); err == nil {
		return m.engine, nil
	}
	if no := (*fleet.Refusal)(nil); errors.As(err, &no) {
		return nil, err // the engine answers, and cannot run a pool
	}
	launch := m.config.Launcher
	if launch.Kind == Engine || launch.Named || EngineInstalled() && launch.Serve == "" {
		return nil, noEngine(err, launch)
	}
	l, sandboxErr := m.openSandbox(ctx)
	if sandboxErr != nil {
		return nil, cli.Hint(errors.Join(err, sandboxErr), "%s; or install bubblewrap", HowToStart())
	}
	if EngineInstalled() {
		m.config.Log.Warn("no container engine answers: runners are sandboxes", "err", err, "hint", HowToStart())
	}
	return l, nil
}

func (m *Machine) openEngine(ctx context.Context) (*engine.Launcher, error) {
	socket, closeSocket, err := EngineSocket(ctx, m.config.Launcher.Sockets, m.config.Launcher.Serve)
	if err != nil {
		return nil, err
	}
	m.engineSocket = socket
	m.closers = append(m.closers, closeSocket)
	l, err := engine.New(ctx, engine.Config{
		Socket: socket, Instance: m.ledger.Instance(), Folder: filepath.Join(m.config.State, "engine"),
		Agent: m.config.Launcher.Agent, Log: m.config.Log,
	})
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, l.Close)
	if err := checkForEngine(ctx, m.config.Limits.Pools, l.Check); err != nil {
		return nil, err
	}
	if m.unheld, err = EngineLimits(ctx, socket); err != nil {
		m.config.Log.Warn("limits of runners cannot be checked", "err", err)
	}
	m.noteTroubles(m.unheld)
	return l, nil
}

// checkForEngine finds a pool whose runners the engine cannot part from their host as it says.
func checkForEngine(ctx context.Context, pools pool.Set, check func(context.Context, pool.Isolation) error) error {
	for _, p := range pools {
		if err := check(ctx, p.Isolation); err != nil {
			return Refused(fmt.Errorf("pool %q: %w", p.Name, err), err)
		}
	}
	return nil
}

// EngineSocket returns the socket of an engine that answers: one of sockets, or serve, on which it
// serves Podman's API until close is called, unless serve is "".
func EngineSocket(ctx context.Context, sockets []string, serve string) (socket string, close func() error, err error) {
	socket, err = docker.Find(ctx, sockets...)
	if err == nil || serve == "" {
		return socket, func() error { return nil }, err
	}
	service, serveErr := docker.Serve(ctx, serve)
	if serveErr != nil {
		return "", nil, errors.Join(err, serveErr)
	}
	return service.Socket, service.Close, nil
}

func (m *Machine) openSandbox(ctx context.Context) (*sandbox.Launcher, error) {
	if err := checkForSandbox(m.config.Limits.Pools); err != nil {
		return nil, err
	}
	l, err := sandbox.New(ctx, sandbox.Config{
		Folder: filepath.Join(m.config.State, "runners"), Instance: m.ledger.Instance(),
		Agent: m.config.Launcher.Agent, Programs: m.config.Launcher.Programs, Log: m.config.Log,
	})
	if err == nil {
		m.unheld = sandboxLimits(l.Limited()) // the sandbox has logged it
	}
	return l, err
}

// checkForSandbox returns an error if the sandbox cannot run one of pools.
func checkForSandbox(pools pool.Set) error {
	for _, p := range pools {
		if err := sandbox.Check(p); err != nil {
			return Refused(fmt.Errorf("pool %q: %w", p.Name, err), err)
		}
	}
	return nil
}

// Refused adds to shown, an error about a pool that a launcher refused, the hint of that refusal.
func Refused(shown, refusal error) error {
	if no := (*fleet.Refusal)(nil); errors.As(refusal, &no) {
		return cli.Usage(shown, "%s", no.Hint)
	}
	return shown
}

// LauncherName returns the kind of the launcher in use.
func (m *Machine) LauncherName() string {
	if m.engine != nil {
		return Engine
	}
	return Sandbox
}
