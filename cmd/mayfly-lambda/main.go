// Mayfly-lambda is the functions of a stack on AWS, besides the webhook, which is
// cmd/mayfly-webhook: one program, and MAYFLY_HANDLER says which of them it is.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

// handlers open what Lambda calls, by what MAYFLY_HANDLER says. They do once what
// lasts for all calls, and use what the stack gives that function and no more.
var handlers = map[string]func(context.Context, *environment) (handler any, err error){
	contract.HandlerClaim: openClaims, contract.HandlerLedger: openLedger, contract.HandlerSweep: openSweep,
	contract.HandlerRelease: openRelease,
}

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
	name := os.Getenv(contract.EnvHandler)
	open, ok := handlers[name]
	if !ok {
		return nil, fmt.Errorf("%s %q: want %s", contract.EnvHandler, name, strings.Join(slices.Sorted(maps.Keys(handlers)), ", "))
	}
	settings, err := contract.ReadSettings(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), contract.SettingsFile))
	if err != nil {
		return nil, err
	}
	return open(ctx, &environment{settings: settings, aws: function.Config(os.Getenv), getenv: os.Getenv, log: log})
}
