package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// upCmd is `mayfly up`.
type upCmd struct {
	Listen string `help:"Address and port for deliveries, in place of the configuration's." placeholder:"HOST:PORT"`
}

// Run serves until ctx ends. Runners that are at work go on after that.
func (c *upCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) (err error) {
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
	if err := s.resolve(); err != nil {
		return err
	}
	settings, err := s.settings()
	if err != nil {
		return err
	}
	settings.Log = log
	signals, stop := hangups() // before anyone is told to send one
	defer stop()
	m, err := openMachine(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.shutdown()) }()
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	log.Info("serving", "webhook", "http://"+listener.Addr().String()+"/webhook", "pools", len(s.Pools), "launcher", m.launcherName(), "state", s.State)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.run(ctx, listener) })
	g.Go(func() error { return trim(ctx, log) })
	g.Go(func() error { return m.reloadOn(ctx, signals, all.Config, log) })
	return g.Wait()
}
