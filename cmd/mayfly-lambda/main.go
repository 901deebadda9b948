// Mayfly-lambda is the functions of a stack on AWS, besides the webhook, which is
// cmd/mayfly-webhook: one program, and MAYFLY_HANDLER says which of them it is.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/entry"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	handler, err := open(context.Background(), log)
	if err != nil {
		log.Error("starting the function", "handler", os.Getenv(contract.EnvHandler), "err", err)
		os.Exit(1) // Lambda lets the call fail, and starts another for the next
	}
	lambda.Start(handler)
}

func open(ctx context.Context, log *slog.Logger) (any, error) {
	place, err := function.Here(log)
	if err != nil {
		return nil, err
	}
	return entry.Open(ctx, place)
}
