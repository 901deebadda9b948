package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/mayfly-ci/mayfly/internal/cli"
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
	if err := s.resolve(); err != nil {
		return err
	}
	settings, err := s.settings()
	if err != nil {
		return err
	}
	settings.Log = log
	if c.Listen != "" {
		s.Listen = c.Listen
	}
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
	return m.run(ctx, listener)
}
