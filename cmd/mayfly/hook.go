package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// webhookCmd is `mayfly webhook`.
type webhookCmd struct {
	Install hookInstallCmd `cmd:"" help:"Make the webhook as the configuration says, or change it to that."`
	Ping    hookPingCmd    `cmd:"" help:"Have the forge send a ping."`
	Remove  hookRemoveCmd  `cmd:"" help:"Remove the webhook."`
}

// hookAt is what the three have in common.
type hookAt struct {
	At  string `help:"Whose webhook, in place of the configuration's: app, acme, acme/web or enterprises/SLUG." placeholder:"WHERE"`
	URL string `help:"Its address, in place of the configuration's." placeholder:"URL"`
}

// open returns a client, whose webhook it is, and what it should be.
func (h hookAt) open(c *tool.Globals) (forge.Forge, forge.Scope, forge.HookConfig, error) {
	none := func(err error) (forge.Forge, forge.Scope, forge.HookConfig, error) {
		return nil, forge.Scope{}, forge.HookConfig{}, err
	}
	s, client, err := tool.ClientFor(c.Config)
	if err != nil {
		return none(err)
	}
	if h.At != "" {
		s.Webhook.At = h.At
	}
	if h.URL != "" {
		s.Webhook.URL = h.URL
	}
	if s.Webhook.At == "" || s.Webhook.URL == "" {
		return none(cli.Usage(errors.New("webhook: want to know whose it is and its address"), "set webhook.at and webhook.url in the configuration, or give --at and --url"))
	}
	at, err := pipeline.HookScope(s.Webhook.At)
	if err != nil {
		return none(cli.Usage(err, "app, acme, acme/web or enterprises/SLUG"))
	}
	return client, at, forge.HookConfig{URL: s.Webhook.URL, Secret: s.Secrets.Webhook[0], Events: s.Webhook.Events}, nil
}

type hookInstallCmd struct{ hookAt }

// Run installs the webhook. Where GitHub has no call for it, it prints what to enter.
func (c *hookInstallCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	client, at, want, err := c.open(all)
	if err != nil {
		return err
	}
	installed, err := pipeline.InstallHook(ctx, client, at, want)
	switch {
	case err != nil:
		return err
	case installed.ByHand != nil:
		tool.PrintManual(screen, *installed.ByHand)
		return nil
	}
	fmt.Fprintln(screen.Out, installed)
	if rest := installed.Rest(); rest != "" {
		screen.Notef("%s", rest)
	}
	return nil
}

type hookPingCmd struct{ hookAt }

// Run has GitHub send a ping to the webhook, and tells how it was answered.
func (c *hookPingCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	return c.onHook(ctx, all, func(client forge.Forge, at forge.Scope, hook forge.Hook) error {
		code, err := client.Ping(ctx, at, hook)
		switch refused := (*forge.PingRefused)(nil); {
		case errors.As(err, &refused) && refused.Answer.Code == http.StatusUnauthorized:
			return cli.Hint(err, "%s signs with another secret than mayfly has: mayfly webhook install gives it the first of webhook.secrets", client.Name())
		case errors.As(err, &refused):
			return cli.Hint(err, "see that mayfly up runs, and that %s reaches it", hook.URL)
		case errors.Is(err, forge.ErrNoPing):
			return cli.Hint(err, "%s lists it under the webhook's deliveries; see that mayfly up runs, and that %s reaches it", client.Name(), hook.URL)
		case err != nil:
			return err
		}
		fmt.Fprintf(screen.Out, "%s's ping to %s was answered with %d\n", client.Name(), hook.URL, code)
		screen.Notef("mayfly events --type ping shows its arrival")
		return nil
	})
}

type hookRemoveCmd struct{ hookAt }

// Run removes the webhook.
func (c *hookRemoveCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	return c.onHook(ctx, all, func(client forge.Forge, at forge.Scope, hook forge.Hook) error {
		if err := client.RemoveWebhook(ctx, at, hook.ID); err != nil {
			return err
		}
		fmt.Fprintf(screen.Out, "removed the webhook of %s to %s\n", at, hook.URL)
		return nil
	})
}

// onHook finds the webhook and does f on it.
func (h hookAt) onHook(ctx context.Context, all *tool.Globals, f func(forge.Forge, forge.Scope, forge.Hook) error) error {
	client, at, want, err := h.open(all)
	if err != nil {
		return err
	}
	hook, err := client.Webhook(ctx, at, want.URL)
	if errors.Is(err, forge.ErrNotFound) {
		return cli.Hint(cli.WithCode(err, cli.ExitForge), "mayfly webhook install makes it")
	}
	if err == nil {
		err = f(client, at, hook)
	}
	if errors.Is(err, forge.ErrByHand) {
		return cli.Hint(cli.WithCode(err, cli.ExitForge), "do it on the settings page of %s", at)
	}
	return err
}
