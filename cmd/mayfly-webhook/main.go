// Mayfly-webhook is the webhook's function on AWS: deliveries to its Function URL
// become events on the EventBridge bus.
//
// It is a program of its own because GitHub waits while it starts: it links what this
// takes and no more. The other functions are cmd/mayfly-lambda.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mayfly-ci/mayfly/internal/aws/delivery"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	handler, err := open(context.Background(), log)
	if err != nil {
		log.Error("starting the webhook", "err", err)
		os.Exit(1) // Lambda answers 502, and starts another for the next delivery
	}
	lambda.Start(handler)
}

func open(ctx context.Context, log *slog.Logger) (any, error) {
	place, err := function.Here(log)
	if err != nil {
		return nil, err
	}
	return delivery.Open(ctx, place)
}
