// Package entry opens the functions of a stack, besides the webhook's: it joins the stages and the
// work in aws/handler to what the zip, the stack and Lambda give a function.
package entry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/secrets"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// handlers open what Lambda calls, by what MAYFLY_HANDLER says. They do once what
// lasts for all calls, and use what the stack gives that function and no more.
var handlers = map[string]func(context.Context, *environment) (handler any, err error){
	contract.HandlerClaim: openClaims, contract.HandlerLedger: openLedger, contract.HandlerSweep: openSweep,
	contract.HandlerRelease: openRelease,
}

// Open opens the function that p's environment names, and returns what Lambda calls.
func Open(ctx context.Context, p function.Place) (handler any, err error) {
	name := p.Getenv(contract.EnvHandler)
	open, ok := handlers[name]
	if !ok {
		return nil, fmt.Errorf("%s %q: want %s", contract.EnvHandler, name, strings.Join(slices.Sorted(maps.Keys(handlers)), ", "))
	}
	return open(ctx, &environment{p})
}

// An environment is where one of the functions runs.
type environment struct{ function.Place }

func (p *environment) limits() ledger.Limits { return p.Settings.Limits() }

// metrics writes the stack's.
func (p *environment) metrics(values map[string]float64) error {
	return function.WriteMetrics(p.Metrics, p.Getenv(contract.EnvStack), time.Now(), values)
}

// ledger opens the stack's ledger.
func (p *environment) ledger() *dynamo.Ledger {
	bus := eventbus.New(p.AWS, p.Getenv(contract.EnvBus))
	return dynamo.New(dynamodb.NewFromConfig(p.AWS), dynamo.Config{
		Table: p.Getenv(contract.EnvTable), Limits: p.limits(), Log: p.Log,
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
	value, err := secrets.Read(ctx, secretsmanager.NewFromConfig(p.AWS), p.Getenv(contract.EnvAppSecret))
	if err != nil {
		return nil, err
	}
	c := github.Config{URL: p.Settings.GitHub.URL, CA: []byte(p.Settings.GitHub.CA), Transport: p.GitHub, Log: p.Log}
	if id := p.Settings.GitHub.AppID; id != 0 {
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
		Ledger: store, Forge: forge, Limits: p.limits, Log: p.Log,
		Enterprise: p.Settings.RunnersAt, HookAt: p.Settings.HookAt, HookURL: p.Getenv(contract.EnvHookURL),
	}, err
}
