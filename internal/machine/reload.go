package machine

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// pools returns the pools in force.
func (m *Machine) pools() pool.Set { return m.limits.Load().Pools }

// engineTimeout is how long an engine may take to say what it can do.
const engineTimeout = 10 * time.Second

// Check returns why the machine's launcher cannot run one of pools.
func (m *Machine) Check(pools pool.Set) error {
	if m.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
		defer cancel()
		return checkForEngine(ctx, pools, m.engine.Check)
	}
	return checkForSandbox(pools)
}

// Reload puts other limits and rules in force while the machine runs, and builds a changed image
// source. The ledger gets new pools before deliveries are routed to them. Existing runners stay.
func (m *Machine) Reload(ctx context.Context, limits ledger.Limits, o Outside) error {
	m.limits.Store(&limits)
	if err := m.ledger.SetLimits(ctx, limits); err != nil {
		return err
	}
	m.hook.SetPools(limits.Pools)
	select {
	case m.poolsChanged <- struct{}{}:
	default: // a token is waiting already
	}
	m.config.Outside = o // nothing else reads it once the machine is open
	rules, err := Rules(m.config.Outside)
	if err != nil {
		return err
	}
	if err := m.bus.SetRules(ctx, rules, m.targets()); err != nil {
		return err
	}
	return m.images.sourced(ctx)
}
