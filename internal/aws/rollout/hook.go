package rollout

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// hook returns the owner of the stack's webhook and its settings.
func (d *Deployment) hook() (github.Scope, github.HookConfig, error) {
	at, err := pipeline.HookScope(d.Webhook.At)
	return at, github.HookConfig{URL: d.state.Outputs["WebhookUrl"], Secret: d.Secrets.Webhook[0], Events: d.Webhook.Events}, err
}

// checkHook checks the permission to read the webhook before anything is created.
func (d *Deployment) checkHook(ctx context.Context) error {
	if d.Webhook.At == "" {
		return nil
	}
	at, want, err := d.hook()
	if err != nil {
		return err
	}
	_, err = d.Forge.Webhook(ctx, at, want.URL)
	if errors.Is(err, github.ErrNoWebhook) || errors.Is(err, github.ErrByHand) {
		return nil
	}
	return err
}

// installHook installs the webhook, and waits for a ping to pass through it.
func (d *Deployment) installHook(ctx context.Context) error {
	if d.Webhook.At == "" {
		d.note("no webhook was installed, because webhook.at is empty; its address is %s", d.state.Outputs["WebhookUrl"])
		return nil
	}
	at, want, err := d.hook()
	if err != nil {
		return err
	}
	installed, err := pipeline.InstallHook(ctx, d.Forge, at, want)
	switch {
	case err != nil:
		return err
	case installed.ByHand != nil:
		d.ByHand(*installed.ByHand)
		return nil
	}
	d.note("%s", installed)
	if rest := installed.Rest(); rest != "" {
		d.note("%s", rest)
	}
	return d.ping(ctx, at, installed.Hook)
}

// ping makes GitHub ping the stack's webhook.
func (d *Deployment) ping(ctx context.Context, at github.Scope, hook github.Hook) error {
	code, err := d.Forge.Ping(ctx, at, hook)
	switch refused := (*github.PingRefused)(nil); {
	case errors.Is(err, github.ErrByHand):
		d.note("GitHub has no call to ping an App's webhook: the first delivery will tell")
		return nil
	case errors.As(err, &refused):
		return cli.Hint(err, "the log of function %s-webhook says why; then deploy again", d.Stack.Name)
	case errors.Is(err, github.ErrNoPing):
		return cli.Hint(err, "GitHub lists it under the webhook's deliveries; deploy again sends another")
	case err == nil:
		d.note("a ping was delivered: %d", code)
	}
	return err
}
