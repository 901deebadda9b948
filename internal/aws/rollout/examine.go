package rollout

import (
	"context"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/aws/doctor"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Examine looks for problems of the stack that keep jobs from their runners. It changes nothing.
func (s *Site) Examine(ctx context.Context, forge *github.Client) (doctor.Report, error) {
	settings, err := stack.Of(s.Config)
	if err != nil {
		return nil, err
	}
	p := doctor.Patient{Account: s.Account, Stack: s.Stack, Architectures: settings.Architectures(), Containers: s.claimed}
	if s.Webhook.At != "" {
		p.Ping = func(ctx context.Context) error { return s.pingStack(ctx, forge) }
	}
	return doctor.Examine(ctx, p), nil
}

// claimed returns the containers of live runners that have claimed.
func (s *Site) claimed(ctx context.Context) (ids []string, err error) {
	state, err := s.Running(ctx)
	if err != nil {
		return nil, err
	}
	store := dynamo.Open(s.Account.Config, dynamo.Config{Table: state.Outputs["TableName"], Limits: s.Limits()})
	runners, err := store.Runners(ctx, ledger.RunnerQuery{Live: true, Limit: 1000})
	for _, r := range runners {
		if r.Container != "" {
			ids = append(ids, r.Container)
		}
	}
	return ids, err
}

// pingStack makes GitHub ping the stack's webhook.
func (s *Site) pingStack(ctx context.Context, forge *github.Client) error {
	at, err := pipeline.HookScope(s.Webhook.At)
	if err != nil {
		return err
	}
	state, err := s.Running(ctx)
	if err != nil {
		return err
	}
	hook, err := forge.Webhook(ctx, at, state.Outputs["WebhookUrl"])
	if errors.Is(err, github.ErrNoWebhook) || errors.Is(err, github.ErrNotFound) {
		return cli.Hint(fmt.Errorf("%s has no webhook to the stack", at), "mayfly deploy installs it")
	} else if err != nil {
		return err
	}
	_, err = forge.Ping(ctx, at, hook)
	if errors.Is(err, github.ErrByHand) {
		return nil
	}
	return err
}
