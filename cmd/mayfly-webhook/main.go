// Mayfly-webhook is the webhook's function on AWS: deliveries to its Function URL
// become events on the EventBridge bus.
//
// It is a program of its own because GitHub waits while it starts: it links what this
// takes and no more. The other functions are cmd/mayfly-lambda.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/secrets"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	handler, err := open(context.Background(), log)
	if err != nil {
		log.Error("starting the webhook", "err", err)
		os.Exit(1) // Lambda answers 502, and starts another for the next delivery
	}
	lambda.Start(function.Serve(handler))
}

// open joins the webhook stage to the bus and to its secret.
func open(ctx context.Context, log *slog.Logger) (*webhook.Handler, error) {
	if name := os.Getenv(contract.EnvHandler); name != contract.HandlerWebhook {
		return nil, fmt.Errorf("%s %q: this program is the handler %q", contract.EnvHandler, name, contract.HandlerWebhook)
	}
	settings, err := contract.ReadSettings(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), contract.SettingsFile))
	if err != nil {
		return nil, err
	}
	config := function.Config(os.Getenv)
	secret, err := secrets.Open(ctx, secretsmanager.NewFromConfig(config), os.Getenv(contract.EnvWebhookSecret), log)
	if err != nil {
		return nil, err
	}
	bus := eventbus.New(config, os.Getenv(contract.EnvBus))
	return webhook.New(webhook.Config{
		Secrets: secret.Values(), Renew: secret.Renew,
		MaxBody: min(settings.MaxBody, eventbus.MaxPayload), Events: settings.Events, Pools: settings.Pools,
		Publish: bus.Publish, Quarantine: bus.Quarantine, Log: log,
	})
}
