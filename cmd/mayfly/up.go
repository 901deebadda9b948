package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// upCmd is `mayfly up`.
type upCmd struct {
	Listen string `help:"Address and port for deliveries, in place of the configuration's." placeholder:"HOST:PORT"`
}

// Run serves until ctx ends. Runners that are at work go on after that.
func (c *upCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen, log *slog.Logger) (err error) {
	s, err := readSetup(all.Config)
	if err != nil {
		return err
	}
	if err := s.checkSandbox(); err != nil {
		return err
	}
	if c.Listen != "" {
		if err := config.CheckListen(c.Listen); err != nil {
			return cli.Usage(fmt.Errorf("--listen %w", err), "give it an address and a port, or leave it to listen: in the configuration")
		}
		s.Listen = c.Listen
	}
	if err := s.ResolveSecrets(); err != nil {
		return err
	}
	settings, err := s.settings()
	if err != nil {
		return err
	}
	settings.Log, settings.Try = log, rehearsal.TryWith(stages[s.Config.Forge], log)
	signals, stop := hangups() // before anyone is told to send one
	defer stop()
	m, err := machine.Open(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	log.Info("serving", "webhook", "http://"+listener.Addr().String()+"/webhook", "pools", len(s.Pools), "launcher", m.LauncherName(), "state", s.State)
	ctx, end := context.WithCancel(ctx)
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer end(); return m.Run(ctx, listener) })
	g.Go(func() error { return reloadOn(ctx, m, signals, all.Config, log) })
	g.Go(func() error {
		return tool.ServePage(ctx, tool.Call{Globals: all, Screen: screen, Log: log}, s.Setup)
	})
	return g.Wait()
}

// reloadOn reads the configuration at path again with each signal, until ctx ends. With
// a faulty one everything stays as it is.
func reloadOn(ctx context.Context, m *machine.Machine, signals <-chan os.Signal, path string, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
		}
		s, err := readSetup(path)
		if err == nil {
			err = s.ResolveSecrets()
		}
		if err == nil {
			err = m.Check(s.Limits.Pools)
		}
		if err != nil {
			log.Error("configuration not reloaded: the old one stays", "err", err)
			continue
		}
		if err := m.Reload(ctx, s.Limits, s.outside()); err != nil {
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
