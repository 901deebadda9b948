package main

import (
	"context"
	"log/slog"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/inspect/stack"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// A cloud is the stack of a configuration, with all that the configuration refers to.
type cloud struct {
	tool.Setup
	*rollout.Site
}

// openCloud finds out where the stack is. Nothing is asked of AWS yet.
func openCloud(ctx context.Context, all *tool.Globals) (*cloud, error) {
	s, err := tool.ReadSetup(all.Config)
	if err != nil {
		return nil, err
	}
	site, err := rollout.Open(ctx, s.Config)
	if err != nil {
		return nil, err
	}
	return &cloud{s, site}, nil
}

// onAWS is the platform of this program.
type onAWS struct{}

// Open implements [tool.Platform].
func (onAWS) Open(ctx context.Context, all *tool.Globals, r tool.Reading, _ *slog.Logger) (*inspect.Source, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	return stack.Open(ctx, c.Site, r.Catalog)
}

// Limits implements [tool.Platform].
func (onAWS) Limits(s tool.Setup) ledger.Limits {
	if s.Platform != config.PlatformAWS { // a configuration to compare the stack's with
		return s.Limits
	}
	return contract.Limits(s.PoolSet(), s.GitHub.RunnersAt, s.StackHosts())
}

// Replays implements [tool.Platform].
func (onAWS) Replays(c tool.Call, _ tool.Reading) tool.Replays { return replays{c} }

// Images implements [tool.Platform].
func (onAWS) Images(c tool.Call, r tool.Reading) tool.Images { return images{c, r.Catalog} }
