// Package delivery opens the webhook's function: deliveries to its Function URL become
// events on the EventBridge bus. It imports little, because GitHub waits while the function starts.
package delivery

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/secrets"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// Open joins the webhook stage to the bus and to its secret, and returns what Lambda calls.
func Open(ctx context.Context, p function.Place) (handler any, err error) {
	if name := p.Getenv(contract.EnvHandler); name != contract.HandlerWebhook {
		return nil, fmt.Errorf("%s %q: this program is the handler %q", contract.EnvHandler, name, contract.HandlerWebhook)
	}
	secret, err := secrets.Open(ctx, secretsmanager.NewFromConfig(p.AWS), p.Getenv(contract.EnvWebhookSecret), p.Log)
	if err != nil {
		return nil, err
	}
	bus := eventbus.New(p.AWS, p.Getenv(contract.EnvBus))
	h, err := webhook.New(webhook.Config{
		Secrets: secret.Values(), Renew: secret.Renew,
		MaxBody: min(p.Settings.MaxBody, eventbus.MaxPayload), Events: p.Settings.Events, Pools: p.Settings.Pools,
		Publish: bus.Publish, Quarantine: bus.Quarantine, Log: p.Log,
	})
	if err != nil {
		return nil, err
	}
	return function.Serve(h), nil
}
