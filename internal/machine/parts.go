package machine

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// What the commands that run a machine of their own see of it.

// Instance is how the names of the machine's runners begin.
func (m *Machine) Instance() string { return m.ledger.Instance() }

// Ledger is what the machine decides by.
func (m *Machine) Ledger() ledger.Store { return m.ledger }

// Forge is where the machine's jobs come from.
func (m *Machine) Forge() forge.Forge { return m.joins.Forge }

// Runs is what runs runners.
func (m *Machine) Runs() Launcher { return m.launcher }

// Lend keeps a container that the caller starts by itself from being removed as a stray, until done is called.
func (m *Machine) Lend(runner string) (done func()) { return m.fleet.Lend(runner) }

// EngineImages are the images of the engine that runs runners; nil for the sandbox.
func (m *Machine) EngineImages() *docker.Images {
	if m.engine == nil {
		return nil
	}
	return m.engine.Images
}

// EngineSocket is where the engine answers that runs runners; "" for the sandbox.
func (m *Machine) EngineSocket() string { return m.engineSocket }

// State is the folder of the database and of the runners.
func (m *Machine) State() string { return m.config.State }

// Settled blocks until no runner is at work.
func (m *Machine) Settled(ctx context.Context) error { return m.fleet.Wait(ctx) }

// Left counts the containers and the claim sockets that are there.
func (m *Machine) Left(ctx context.Context) (containers, claims int, err error) {
	list, err1 := m.launcher.List(ctx)
	runners, err2 := m.desk.Runners()
	return len(list), len(runners), errors.Join(err1, err2)
}
