package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// hook returns whose webhook the stack's is, and what it should be.
func (d *Deployment) hook() (github.Scope, github.HookConfig, error) {
	at, err := pipeline.HookScope(d.Webhook.At)
	return at, github.HookConfig{URL: d.state.Outputs["WebhookUrl"], Secret: d.Secrets.Webhook[0], Events: d.Webhook.Events}, err
}

// checkHook finds out whether GitHub lets us see the webhook, before anything is made.
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

// installHook installs the webhook, and sees a ping come through it.
func (d *Deployment) installHook(ctx context.Context) error {
	if d.Webhook.At == "" {
		d.note("no webhook was installed, because webhook.at is empty; its address is %s", d.state.Outputs["WebhookUrl"])
		return nil
	}
	at, want, err := d.hook()
	if err != nil {
		return err
	}
	hook, err := d.Forge.InstallWebhook(ctx, at, want)
	if errors.Is(err, github.ErrByHand) {
		d.ByHand(d.Forge.ByHand(at, want))
		return nil
	} else if err != nil {
		return err
	}
	d.note("webhook of %s sends to %s", at, hook.URL)
	if len(hook.Missing) > 0 {
		d.note("GitHub has no call for an App's events: tick %v on its settings page", hook.Missing)
	}
	return d.ping(ctx, at, hook)
}

// How long a ping may take, and how far apart looks for it are.
const (
	pingWithin = time.Minute
	pingLook   = time.Second
)

// ping has GitHub send a ping, and waits until GitHub says how it was answered. An App's
// webhook cannot be pinged.
func (d *Deployment) ping(ctx context.Context, at github.Scope, hook github.Hook) error {
	before, _, err := d.Forge.LatestDelivery(ctx, at, hook.ID, "ping")
	if err != nil {
		return err
	}
	if err := d.Forge.PingWebhook(ctx, at, hook.ID); errors.Is(err, github.ErrByHand) {
		d.note("GitHub has no call to ping an App's webhook: the first delivery will tell")
		return nil
	} else if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	for {
		latest, found, err := d.Forge.LatestDelivery(limited, at, hook.ID, "ping")
		switch {
		case err != nil && limited.Err() == nil:
			return err
		case found && latest.ID != before.ID && latest.Code/100 == 2:
			d.note("a ping was delivered: %d", latest.Code)
			return nil
		case found && latest.ID != before.ID && latest.Code != 0:
			return cli.Hint(fmt.Errorf("a ping was answered with %d %s", latest.Code, latest.Status),
				"the log of function %s-webhook says why; then deploy again", d.Stack.Name)
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return cli.Hint(fmt.Errorf("no ping was delivered within %s", pingWithin), "GitHub lists it under the webhook's deliveries; deploy again sends another")
		case <-time.After(pingLook):
		}
	}
}
