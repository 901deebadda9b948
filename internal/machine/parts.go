package machine

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// What commands that run their own machine see of it.

// Instance returns the prefix of the names of the machine's runners.
func (m *Machine) Instance() string { return m.ledger.Instance() }

// Ledger returns the machine's ledger.
func (m *Machine) Ledger() ledger.Store { return m.ledger }

// Forge returns the machine's GitHub client.
func (m *Machine) Forge() forge.Forge { return m.pipeline.Forge }

// Runs returns the launcher.
func (m *Machine) Runs() Launcher { return m.launcher }

// Lend protects a container that the caller starts from being removed as a stray, until done is
// called.
func (m *Machine) Lend(runner string) (done func()) { return m.fleet.Lend(runner) }

// EngineImages returns the image store of the engine that runs runners; nil for the sandbox.
func (m *Machine) EngineImages() *docker.Images {
	if m.engine == nil {
		return nil
	}
	return m.engine.Images
}

// EngineSocket returns the socket of the engine that runs runners; "" for the sandbox.
func (m *Machine) EngineSocket() string { return m.engineSocket }

// State returns the folder of the database and of the runners.
func (m *Machine) State() string { return m.config.State }

// Settled blocks until there is no runner.
func (m *Machine) Settled(ctx context.Context) error { return m.fleet.Wait(ctx) }

// Left counts the existing containers and claim sockets.
func (m *Machine) Left(ctx context.Context) (containers, claims int, err error) {
	list, err1 := m.launcher.List(ctx)
	runners, err2 := m.sockets.Runners()
	return len(list), len(runners), errors.Join(err1, err2)
}
