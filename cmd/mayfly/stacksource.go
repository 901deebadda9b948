package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// followStackEvery is how often the stack's log is looked at for what has come. AWS allows
// five such calls a second, for all who ask.
const followStackEvery = 2 * time.Second

// A cloud is the stack of a configuration, with all that the configuration refers to.
type cloud struct {
	setup
	*rollout.Site
}

// openCloud finds out where the stack is. Nothing is asked of AWS yet.
func openCloud(ctx context.Context, all *commands) (*cloud, error) {
	s, err := readSetup(all.Config)
	if err != nil {
		return nil, err
	}
	site, err := rollout.Open(ctx, s.Config)
	if err != nil {
		return nil, err
	}
	return &cloud{s, site}, nil
}

// stackSource reads the stack, and of its images those for architecture.
func stackSource(ctx context.Context, all *commands, architecture string) (*source, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	state, err := c.Running(ctx)
	if err != nil {
		return nil, err
	}
	out := eventbus.New(c.Account.Config, state.Outputs["BusName"])
	held := view.NewQuarantine(c.Account.Config, state.Outputs["QuarantineUrl"], out, func(e event.Event) (event.Event, error) { return machine.RouteAgain(e, c.limits.Pools) })
	return &source{
		ledger:  dynamo.Open(c.Account.Config, dynamo.Config{Table: state.Outputs["TableName"], Limits: c.Limits()}),
		events:  view.NewEvents(c.Account.Config, state.Outputs["EventsLogName"]),
		letters: view.NewLetters(c.Account.Config, state.Outputs["DeadLettersUrl"], out), held: held,
		schemas: view.NewSchemas(c.Account.Config),
		images:  c.Catalog(state, c.Architecture(architecture)).Catalog,
		health:  func(ctx context.Context) (health, error) { return c.health(ctx, state, held) },
		hook:    hookSite{state.Outputs["WebhookUrl"], "mayfly deploy"},
		pause:   followStackEvery, close: func() error { return nil },
	}, nil
}

// orderOnAWS carries out an order of the stack's catalog for architecture, and returns the
// digest of the image that is current then. What else follows from it, the release function does.
func orderOnAWS(ctx context.Context, all *commands, architecture string, o machine.ImageOrder) (image.Digest, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return "", err
	}
	state, err := c.Running(ctx)
	if err != nil {
		return "", err
	}
	in, err := o.Input()
	if err != nil {
		return "", err
	}
	architecture = c.Architecture(architecture)
	store := c.Catalog(state, architecture)
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
	tasks := build.NewTasks(c.Account.Config, c.Stack.Name, state.Outputs["RepositoryUri"])
	if _, err := tasks.Promote(ctx, architecture, string(promoted.Image.Digest)); err != nil {
		return "", err
	}
	said, err := event.Say(event.TypeImagePromoted, promoted, time.Now())
	if err != nil {
		return "", err
	}
	if err := eventbus.New(c.Account.Config, state.Outputs["BusName"]).Put(ctx, said); err != nil {
		return "", err
	}
	_, err = store.Apply(ctx, image.InForce{Digest: promoted.Image.Digest})
	return promoted.Image.Digest, err
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
		Words: fmt.Sprintf("stack %s in %s: %s, %s", c.Stack.Name, c.Account.Region(), state.Status, rules),
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
