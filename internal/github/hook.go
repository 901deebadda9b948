package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	gh "github.com/google/go-github/v88/github"
)

// InstallWebhook creates the webhook h of s, or updates the one with the same URL. An App has
// exactly one webhook, which is updated. For an enterprise it returns ErrByHand; see
// [Client.ByHand].
// https://docs.github.com/en/rest/repos/webhooks, /orgs/webhooks, /apps/webhooks
func (c *Client) InstallWebhook(ctx context.Context, s Scope, h HookConfig) (Hook, error) {
	doing := "installing the webhook of " + s.String()
	if h.URL == "" || len(h.Events) == 0 || h.Secret.IsZero() {
		return Hook{}, fmt.Errorf("%s: want an address, a secret and at least one event", doing)
	}
	if s.Kind == app {
		return c.installAppWebhook(ctx, doing, h)
	}
	old, found, err := c.findWebhook(ctx, s, h.URL)
	if err != nil {
		return Hook{}, err
	}
	body := map[string]any{"config": hookBody(h), "events": h.Events, "active": true}
	method, path := http.MethodPatch, hookPath(s, old.ID)
	if !found {
		body["name"] = "web"
		method, path = http.MethodPost, restPath(s)+"/hooks"
	}
	var answer gh.Hook
	_, err = c.do(ctx, hookRequest(doing, s, method, path, body, &answer))
	return newHook(&answer), err
}

// Webhook returns the webhook of s that sends to url, or ErrNoWebhook.
func (c *Client) Webhook(ctx context.Context, s Scope, url string) (Hook, error) {
	h, found, err := c.findWebhook(ctx, s, url)
	if err == nil && !found {
		err = &Error{Doing: fmt.Sprintf("finding the webhook of %s for %s", s, url), Kind: ErrNoWebhook}
	}
	return h, err
}

// PingWebhook makes GitHub send a ping event to webhook id of s. It returns ErrByHand for an
// App, because GitHub has no call to ping its webhook.
func (c *Client) PingWebhook(ctx context.Context, s Scope, id int64) error {
	doing := "pinging the webhook of " + s.String()
	if err := needsHooks(doing, s); err != nil {
		return err
	}
	_, err := c.do(ctx, hookRequest(doing, s, http.MethodPost, hookPath(s, id)+"/pings", nil, nil))
	return err
}

// RemoveWebhook removes webhook id of s; the error is ErrNotFound if it does not exist. It
// returns ErrByHand for an App, whose webhook exists as long as the App.
func (c *Client) RemoveWebhook(ctx context.Context, s Scope, id int64) error {
	doing := "removing the webhook of " + s.String()
	if err := needsHooks(doing, s); err != nil {
		return err
	}
	_, err := c.do(ctx, hookRequest(doing, s, http.MethodDelete, hookPath(s, id), nil, nil))
	return err
}

// findWebhook searches all webhooks of s.
func (c *Client) findWebhook(ctx context.Context, s Scope, url string) (h Hook, found bool, err error) {
	doing := "listing the webhooks of " + s.String()
	if s.Kind == app {
		return c.appWebhook(ctx, doing, url)
	}
	if err := needsHooks(doing, s); err != nil {
		return Hook{}, false, err
	}
	r := hookRequest(doing, s, http.MethodGet, restPath(s)+"/hooks", nil, nil)
	err = list(ctx, c.do, r, func(page []*gh.Hook) bool {
		for _, one := range page {
			if one.GetConfig().GetURL() == url {
				h, found = newHook(one), true
			}
		}
		return !found
	})
	return h, found, err
}

// installAppWebhook updates the App's webhook. It can only compare the events: they are changed
// on the App's settings page.
func (c *Client) installAppWebhook(ctx context.Context, doing string, h HookConfig) (Hook, error) {
	var config gh.HookConfig
	_, err := c.do(ctx, hookRequest(doing, AppScope(), http.MethodPatch, "app/hook/config", hookBody(h), &config))
	if err != nil {
		return Hook{}, err
	}
	hook, _, err := c.appWebhook(ctx, doing, h.URL)
	for _, want := range h.Events {
		if !slices.Contains(hook.Events, want) && want != "ping" { // every webhook gets ping, unlisted
			hook.Missing = append(hook.Missing, want)
		}
	}
	return hook, err
}

// appWebhook reads the App's webhook and reports whether it sends to url.
func (c *Client) appWebhook(ctx context.Context, doing, url string) (h Hook, found bool, err error) {
	var config gh.HookConfig
	if _, err := c.do(ctx, hookRequest(doing, AppScope(), http.MethodGet, "app/hook/config", nil, &config)); err != nil {
		return Hook{}, false, err
	}
	var self gh.App
	if _, err := c.do(ctx, hookRequest(doing, AppScope(), http.MethodGet, "app", nil, &self)); err != nil {
		return Hook{}, false, err
	}
	return Hook{URL: config.GetURL(), Events: self.Events, Active: true}, config.GetURL() == url, nil
}

func hookRequest(doing string, s Scope, method, path string, body, into any) request {
	return request{
		doing: doing, scope: s, method: method, path: path, body: body, into: into,
		priority: housekeeping, needs: hookPermission(s),
	}
}

func hookPath(s Scope, id int64) string { return fmt.Sprintf("%s/hooks/%d", restPath(s), id) }

// hookBody reveals the secret, to GitHub only.
func hookBody(h HookConfig) map[string]string {
	return map[string]string{"url": h.URL, "content_type": "json", "secret": h.Secret.Reveal(), "insecure_ssl": "0"}
}

func newHook(h *gh.Hook) Hook {
	return Hook{ID: h.GetID(), URL: h.GetConfig().GetURL(), Events: h.Events, Active: h.GetActive()}
}

// needsHooks refuses scopes that GitHub has no calls for.
func needsHooks(doing string, s Scope) error {
	if s.Kind == repository || s.Kind == organization {
		return nil
	}
	return &Error{Doing: doing, Kind: ErrByHand, Advice: "do it on the settings page, " + settingsPage(s)}
}

// settingsPage returns the page on GitHub where a person finds the webhooks of s.
func settingsPage(s Scope) string {
	if s.Kind == enterprise {
		return "/" + s.String() + "/settings/hooks"
	}
	return "/settings/apps"
}

// ByHand returns what a person enters for h where GitHub has no call, as for an enterprise.
// https://docs.github.com/en/enterprise-cloud@latest/webhooks/using-webhooks/creating-webhooks#creating-webhooks-for-a-github-enterprise
func (c *Client) ByHand(s Scope, h HookConfig) Manual {
	return Manual{
		Page: c.at.web + settingsPage(s), PayloadURL: h.URL, ContentType: "application/json", Secret: h.Secret,
		SSL: "Enable SSL verification", Events: h.Events, Active: true,
	}
}
