package github

import (
	"context"
	"net/http"
	"net/url"

	gh "github.com/google/go-github/v88/github"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A NewApp is a GitHub App that was made a moment ago. GitHub tells its secrets
// this once.
type NewApp struct {
	App
	Slug          string
	Page          string // its page on GitHub, where it is installed
	WebhookSecret secret.Secret
}

// ConvertManifest ends the manifest flow, in which a person makes an App without
// typing: code is what GitHub passed to the redirect URL, good for an hour and
// for one use. The call takes no credential.
// https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
func ConvertManifest(ctx context.Context, config Config, code string) (NewApp, error) {
	at, err := parseAddress(config.URL)
	if err != nil {
		return NewApp{}, err
	}
	c := &Client{config: withDefaults(config), at: at, transport: newTransport(config.Transport)}
	cred, err := c.credential(c.transport)
	if err != nil {
		return NewApp{}, err
	}
	var answer gh.AppConfig
	_, err = c.doAs(ctx, cred, request{
		doing: "making an App from its manifest", scope: AppScope(),
		method: http.MethodPost, path: "app-manifests/" + url.PathEscape(code) + "/conversions", into: &answer,
		priority: housekeeping, needs: "a code that is under an hour old and was not used before",
	})
	if err != nil {
		return NewApp{}, err
	}
	return NewApp{
		App:  App{ID: answer.GetID(), PrivateKey: secret.New(answer.GetPEM())},
		Slug: answer.GetSlug(), Page: answer.GetHTMLURL(), WebhookSecret: secret.New(answer.GetWebhookSecret()),
	}, nil
}
