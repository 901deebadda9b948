// Package stack reads the Mayfly of a stack on AWS.
package stack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/rollout"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// followEvery is how often the stack's log is looked at for what has come. AWS allows
// five such calls a second, for all who ask.
const followEvery = 2 * time.Second

// Open returns the source of the stack of a site, and of its images those for architecture: ""
// for those of the first pool that has none of its own.
func Open(ctx context.Context, site *rollout.Site, architecture string) (*inspect.Source, error) {
	state, err := site.Running(ctx)
	if err != nil {
		return nil, err
	}
	out := eventbus.New(site.Account.Config, state.Outputs["BusName"])
	held := view.NewQuarantine(site.Account.Config, state.Outputs["QuarantineUrl"], out, func(e event.Event) (event.Event, error) {
		routed, err := webhook.Route(e, site.PoolSet())
		return routed.Event, err
	})
	return &inspect.Source{
		Ledger:  dynamo.Open(site.Account.Config, dynamo.Config{Table: state.Outputs["TableName"], Limits: site.Limits()}),
		Events:  view.NewEvents(site.Account.Config, state.Outputs["EventsLogName"]),
		Letters: view.NewLetters(site.Account.Config, state.Outputs["DeadLettersUrl"], out), Quarantine: held,
		Schemas: view.NewSchemas(site.Account.Config),
		Images:  site.Catalog(state, site.Architecture(architecture)).Catalog,
		Health:  func(ctx context.Context) (inspect.Health, error) { return health(ctx, site, state, held) },
		LogsAt:  "runners on AWS print to CloudWatch Logs: aws logs tail --follow, with the log group of the stack (docs/aws.md)",
		Hook:    inspect.Hook{URL: state.Outputs["WebhookUrl"], Command: "mayfly deploy"},
		Pause:   followEvery, Close: func() error { return nil },
	}, nil
}

func health(ctx context.Context, site *rollout.Site, state deploy.State, held *view.Quarantine) (inspect.Health, error) {
	rules := "its rules are off"
	on := state.Parameters[deploy.RulesState] == deploy.RulesOn
	if on {
		rules = "its rules are on"
	}
	quarantined, err := held.Count(ctx)
	return inspect.Health{
		Fix:     "mayfly deploy says what to do about it",
		Running: on && strings.HasSuffix(state.Status, "_COMPLETE"), Quarantined: quarantined,
		Words: fmt.Sprintf("stack %s in %s: %s, %s", site.Stack.Name, site.Account.Region(), state.Status, rules),
	}, err
}
