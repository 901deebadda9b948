package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
)

// followStackEvery is how often the stack's log is looked at for what has come. AWS allows
// five such calls a second, for all who ask.
const followStackEvery = 2 * time.Second

// A cloud is the stack of a configuration, and the account that it is in.
type cloud struct {
	setup
	account *deploy.Account
	stack   *deploy.Stack
}

// openCloud finds out where the stack is. Nothing is asked of AWS yet.
func openCloud(ctx context.Context, all *commands) (*cloud, error) {
	s, err := readSetup(all.Config)
	if err != nil {
		return nil, err
	}
	account, err := deploy.Connect(ctx, s.AWS.Region)
	if err != nil {
		return nil, err
	}
	return &cloud{s, account, deploy.NewStack(account.Config, s.AWS.Stack)}, nil
}

// running returns how the stack stands; an error when there is none.
func (c *cloud) running(ctx context.Context) (deploy.State, error) {
	state, err := c.stack.State(ctx)
	if err == nil && !state.Exists() {
		err = cli.Hint(fmt.Errorf("stack %s: there is none in %s", c.stack.Name, c.account.Region()), "mayfly deploy makes it; aws.stack and aws.region say which one is meant")
	}
	return state, err
}

// stackSource reads the stack, and of its images those for architecture.
func stackSource(ctx context.Context, all *commands, architecture string) (*source, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	state, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	out := eventbus.New(c.account.Config, state.Outputs["BusName"])
	held := view.NewQuarantine(c.account.Config, state.Outputs["QuarantineUrl"], out, func(e event.Event) (event.Event, error) { return routeAgain(e, c.limits.Pools) })
	return &source{
		ledger:  dynamo.Open(c.account.Config, dynamo.Config{Table: state.Outputs["TableName"], Limits: c.stackLimits()}),
		events:  view.NewEvents(c.account.Config, state.Outputs["EventsLogName"]),
		letters: view.NewLetters(c.account.Config, state.Outputs["DeadLettersUrl"], out), held: held,
		schemas: view.NewSchemas(c.account.Config),
		images:  c.catalog(state, c.architecture(architecture)).Catalog,
		health:  func(ctx context.Context) (health, error) { return c.health(ctx, state, held) },
		hook:    hookSite{state.Outputs["WebhookUrl"], "mayfly deploy"},
		pause:   followStackEvery, close: func() error { return nil },
	}, nil
}

// stackLimits are those of a stack, whose hosts come as they are needed.
func (s *setup) stackLimits() ledger.Limits {
	return ledger.Limits{Pools: s.limits.Pools, Level: s.limits.Level}
}

func (c *cloud) catalog(state deploy.State, architecture string) *catalog.Catalog {
	return catalog.New(c.account.Config, catalog.Config{Table: state.Outputs["TableName"], Architecture: architecture})
}

// orderOnAWS carries out an order of the stack's catalog for architecture, and returns the
// digest of the image that is current then. What else follows from it, the release function does.
func orderOnAWS(ctx context.Context, all *commands, architecture string, o imageOrder) (image.Digest, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return "", err
	}
	state, err := c.running(ctx)
	if err != nil {
		return "", err
	}
	in, err := o.input()
	if err != nil {
		return "", err
	}
	architecture = c.architecture(architecture)
	store := c.catalog(state, architecture)
	result, err := store.Apply(ctx, in)
	if err == nil && result.Reason != "" {
		err = errors.New(result.Reason)
	}
	if err != nil {
		return "", err
	}
	var promoted image.PromoteImage
	for _, e := range result.Effects {
		if p, ok := e.(image.PromoteImage); ok {
			promoted = p
		}
	}
	tasks := build.NewTasks(c.account.Config, c.stack.Name, state.Outputs["RepositoryUri"])
	if _, err := tasks.Promote(ctx, architecture, string(promoted.Image.Digest)); err != nil {
		return "", err
	}
	said, err := event.Say(event.TypeImagePromoted, promoted, time.Now())
	if err != nil {
		return "", err
	}
	if err := eventbus.New(c.account.Config, state.Outputs["BusName"]).Put(ctx, said); err != nil {
		return "", err
	}
	_, err = store.Apply(ctx, image.InForce{Digest: promoted.Image.Digest})
	return promoted.Image.Digest, err
}

// architecture is the one that is wanted, or else that of the first pool whose image
// the stack builds.
func (c *cloud) architecture(wanted string) string {
	if wanted != "" {
		return wanted
	}
	for _, p := range c.Pools {
		if p.Image == "" {
			return p.AWS.Architecture
		}
	}
	return config.AMD64
}

func (c *cloud) health(ctx context.Context, state deploy.State, held *view.Quarantine) (health, error) {
	rules := "its rules are off"
	on := state.Parameters[deploy.RulesState] == deploy.RulesOn
	if on {
		rules = "its rules are on"
	}
	quarantined, err := held.Count(ctx)
	return health{
		Running: on && strings.HasSuffix(state.Status, "_COMPLETE"), Quarantined: quarantined,
		Words: fmt.Sprintf("stack %s in %s: %s, %s", c.stack.Name, c.account.Region(), state.Status, rules),
	}, err
}

// explainAWS gives the errors of AWS their hints and code.
func explainAWS(err error) error {
	hint, ok := refusal.Of(err)
	if !ok {
		return err
	}
	return cli.Hint(cli.WithCode(errors.New(refusal.Words(err)), cli.ExitAWS), "%s", hint)
}
