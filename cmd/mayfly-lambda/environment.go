package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/secrets"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A environment is where a function runs: what the zip and the stack give it.
type environment struct {
	settings contract.Settings
	aws      aws.Config
	getenv   func(string) string
	log      *slog.Logger
}

func (p *environment) limits() ledger.Limits { return p.settings.Limits() }

// ledger opens the stack's ledger. What told reports as told is not put on the bus.
func (p *environment) ledger(told func(ledger.Input, ledger.Effect) bool) *dynamo.Ledger {
	bus := eventbus.New(p.aws, p.getenv(contract.EnvBus))
	return dynamo.New(dynamodb.NewFromConfig(p.aws), dynamo.Config{
		Table: p.getenv(contract.EnvTable), Limits: p.limits(), Handled: told, Log: p.log,
		Emit: func(ctx context.Context, effects []ledger.Effect) error {
			var events []event.Event
			for _, effect := range effects {
				e, err := pipeline.EventOf(effect, time.Now())
				if err != nil {
					return err
				}
				events = append(events, e)
			}
			return bus.Put(ctx, events...)
		},
	})
}

// forge opens GitHub, as whom the App's secret says: the key of an App, or a token.
func (p *environment) forge(ctx context.Context) (*github.Client, error) {
	value, err := secrets.Read(ctx, secretsmanager.NewFromConfig(p.aws), p.getenv(contract.EnvAppSecret))
	if err != nil {
		return nil, err
	}
	c := github.Config{URL: p.settings.GitHub.URL, CA: []byte(p.settings.GitHub.CA), Log: p.log}
	if id := p.settings.GitHub.AppID; id != 0 {
		c.App = &github.App{ID: id, PrivateKey: value}
	} else {
		c.Token = value
	}
	return github.New(c)
}

// pipeline joins a ledger to GitHub.
func (p *environment) pipeline(ctx context.Context, store ledger.Store) (pipeline.Config, error) {
	forge, err := p.forge(ctx)
	return pipeline.Config{
		Ledger: store, Forge: forge, Limits: p.limits, Log: p.log,
		Enterprise: p.settings.RunnersAt, HookAt: p.settings.HookAt, HookURL: p.getenv(contract.EnvHookURL),
	}, err
}
