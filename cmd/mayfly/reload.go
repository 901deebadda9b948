package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// pools are those in force.
func (m *machine) pools() pool.Set { return m.limits.Load().Pools }

// reload puts other limits and rules in force while the machine runs, and has a source of
// images built that has changed. The ledger knows new pools before deliveries are routed
// to them. Runners that are there stay.
func (m *machine) reload(ctx context.Context, limits ledger.Limits, o outside) error {
	m.limits.Store(&limits)
	if err := m.ledger.SetLimits(ctx, limits); err != nil {
		return err
	}
	m.hook.SetPools(limits.Pools)
	select {
	case m.poolsChanged <- struct{}{}:
	default: // it was said already, and not heard yet
	}
	m.Outside = o // which nobody else reads once the machine is open
	rules, err := m.rules()
	if err != nil {
		return err
	}
	if err := m.bus.SetRules(ctx, rules, m.targets()); err != nil {
		return err
	}
	return m.images.sourced(ctx)
}

// reloadOn reads the configuration at path again with each signal, until ctx ends. With
// a faulty one everything stays as it is.
func (m *machine) reloadOn(ctx context.Context, signals <-chan os.Signal, path string, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
		}
		s, err := readSetup(path)
		if err == nil {
			err = s.resolve()
		}
		if err == nil && m.launcherName() == launcherSandbox {
			err = checkForSandbox(s.limits.Pools)
		}
		if err != nil {
			log.Error("configuration not reloaded: the old one stays", "err", err)
			continue
		}
		if err := m.reload(ctx, s.limits, s.outside()); err != nil {
			log.Error("configuration reloaded in part: SIGHUP tries again", "err", err)
			continue
		}
		log.Info("configuration reloaded: pools, host, rules and the image's source; the rest waits for a restart", "pools", len(s.Pools), "rules", len(s.Rules))
	}
}

// hangups returns a channel of SIGHUP, which does not end the process until stop is called.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
