package gitea

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// An apiHook is a webhook. Gitea gives its secret to nobody.
// https://docs.gitea.com/usage/webhooks
type apiHook struct {
	ID     int64
	Active bool
	Events []string
	Config struct{ URL string }
}

func (h apiHook) hook() forge.Hook {
	return forge.Hook{ID: h.ID, URL: h.Config.URL, Events: h.Events, Active: h.Active}
}

// InstallWebhook implements forge.Forge.
func (c *Client) InstallWebhook(ctx context.Context, at forge.Scope, h forge.HookConfig) (forge.Hook, error) {
	doing := "installing the webhook of " + at.String()
	path, err := placePath(doing, at)
	if err != nil {
		return forge.Hook{}, err
	}
	if h.URL == "" || len(h.Events) == 0 || h.Secret.IsZero() {
		return forge.Hook{}, fmt.Errorf("%s: want an address, a secret and at least one event", doing)
	}
	old, found, err := c.findHook(ctx, at, h.URL)
	if err != nil {
		return forge.Hook{}, err
	}
	events := slices.DeleteFunc(slices.Clone(h.Events), func(e string) bool { return e == "ping" }) // Gitea knows no such event
	body := map[string]any{
		"events": events, "active": true,
		"config": map[string]string{"url": h.URL, "content_type": "json", "secret": h.Secret.Reveal()},
	}
	r := request{doing: doing, method: http.MethodPatch, path: fmt.Sprintf("%s/hooks/%d", path, old.ID), body: body, needs: scopeFor(at)}
	if !found {
		body["type"] = "gitea"
		r.method, r.path = http.MethodPost, path+"/hooks"
	}
	var answer apiHook
	r.into = &answer
	err = c.do(ctx, r)
	return answer.hook(), err
}

// ByHand implements forge.Forge, for who rather enters a webhook.
func (c *Client) ByHand(at forge.Scope, h forge.HookConfig) forge.Manual {
	return forge.Manual{
		Page: c.settings(at), PayloadURL: h.URL, ContentType: "application/json", Secret: h.Secret,
		SSL: "", Events: h.Events, Active: true,
	}
}

// settings is the page of a place's webhooks.
func (c *Client) settings(at forge.Scope) string {
	if at.Kind == forge.OfOrganization {
		return c.web + "/org/" + at.String() + "/settings/hooks"
	}
	return c.web + "/" + at.String() + "/settings/hooks"
}

// Webhook implements forge.Forge.
func (c *Client) Webhook(ctx context.Context, at forge.Scope, url string) (forge.Hook, error) {
	h, found, err := c.findHook(ctx, at, url)
	if err == nil && !found {
		err = &forge.Error{Doing: fmt.Sprintf("finding the webhook of %s for %s", at, url), Kind: forge.ErrNoWebhook}
	}
	return h.hook(), err
}

func (c *Client) findHook(ctx context.Context, at forge.Scope, url string) (h apiHook, found bool, err error) {
	doing := "listing the webhooks of " + at.String()
	path, err := placePath(doing, at)
	if err != nil {
		return h, false, err
	}
	err = list(ctx, c, request{doing: doing, method: http.MethodGet, path: path + "/hooks", needs: scopeFor(at)}, func(page []apiHook) (int, bool) {
		for _, one := range page {
			if one.Config.URL == url {
				h, found = one, true
			}
		}
		return len(page), !found
	})
	return h, found, err
}

// Ping implements forge.Forge: Gitea has no such event. Its pages send a delivery of a push as a test.
func (c *Client) Ping(_ context.Context, at forge.Scope, h forge.Hook) (int, error) {
	return 0, &forge.Error{
		Doing: "pinging the webhook of " + at.String(), Kind: forge.ErrByHand,
		Advice: fmt.Sprintf("%s/%d has a button for a test, and how it was answered", c.settings(at), h.ID),
	}
}

// RemoveWebhook implements forge.Forge.
func (c *Client) RemoveWebhook(ctx context.Context, at forge.Scope, id int64) error {
	doing := "removing the webhook of " + at.String()
	path, err := placePath(doing, at)
	if err != nil {
		return err
	}
	return c.do(ctx, request{doing: doing, method: http.MethodDelete, path: fmt.Sprintf("%s/hooks/%d", path, id), needs: scopeFor(at)})
}

// FailedDeliveries implements forge.Forge: Gitea's API tells of none. What they told of
// jobs is found by asking for jobs, four times a minute; see [Client.Pace].
func (c *Client) FailedDeliveries(context.Context, forge.Scope, int64, time.Time) ([]forge.Delivery, error) {
	return nil, nil
}

// Redeliver implements forge.Forge: there is none to ask for.
func (c *Client) Redeliver(_ context.Context, at forge.Scope, _, _ int64) error {
	return &forge.Error{Doing: "redelivering to " + at.String(), Kind: forge.ErrByHand, Advice: c.settings(at) + " lists deliveries and sends them again"}
}
