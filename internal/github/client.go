// Package github is the part of GitHub's REST API that Mayfly uses: registering
// and removing runners, reading jobs, webhooks and their deliveries, with what a scaler
// needs: one request per runner, all pages of every list, rate limits with priority for
// starting jobs, and errors that say whether a request may have had its effect.
//
// The API's types are go-github's, and ghinstallation gets an App's tokens. The package
// makes its own requests (wire.go): budget, retries, errors and decoding are its own, so
// that of go-github's client only a dozen lines would be used, which add 3 MB to the program.
//
// A [Client] acts as a GitHub App or with a token; a [Scope] says where. Package
// githubsim is the other side in tests. Package openapi checks both against GitHub's
// own description of the API.
package github

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Config has the settings of a [Client]. Exactly one of App and Token is required.
type Config struct {
	// URL is GitHub's address for a browser: https://github.com (the default),
	// https://acme.ghe.com, that of an Enterprise Server, or http:// to loopback.
	URL   string
	App   *App
	Token secret.Secret // personal access token, classic or fine-grained

	// CA has certificates, in PEM, to trust in addition to the system's, such as the CA of
	// an Enterprise Server. It has no effect with a Transport.
	CA []byte

	Transport http.RoundTripper // nil: a new one, with the environment's proxy
	Timeout   time.Duration     // for one attempt of a call, including reading the answer; 0 means 20 s
	Backoff   time.Duration     // pause before the first of at most three retries, doubled each time; 0 means 250 ms
	Log       *slog.Logger      // nil: no log
	Clock     clock.Clock       // zero: the machine's
	Jitter    func() float64    // in [0, 1); nil: math/rand
}

// An App is the GitHub App that a client acts as.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
type App struct {
	ID           int64
	PrivateKey   secret.Secret // see [ParseKey]
	Installation int64         // 0: looked up once for each owner
}

const (
	defaultTimeout = 20 * time.Second
	defaultBackoff = 250 * time.Millisecond
)

// A Client calls GitHub. It is safe for concurrent use. Its errors are [*Error], which match the
// sentinels of this package, except for invalid parameters.
type Client struct {
	config    Config
	at        address
	transport http.RoundTripper
	key       *rsa.PrivateKey // of the App; nil with a token
	main      *credential     // the token, or the App itself
	installed installations
	groups    groups
	clock     correctedClock
}

// New returns a Client. It makes no call.
func New(c Config) (*Client, error) {
	at, err := parseAddress(c.URL)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(c.Transport, c.CA)
	if err != nil {
		return nil, err
	}
	client := &Client{config: withDefaults(c), at: at, transport: transport}
	client.clock.local = client.config.Clock.Now
	switch {
	case c.App != nil && !c.Token.IsZero():
		return nil, errors.New("GitHub credential: both an App and a token: want only one of them")
	case c.App != nil:
		err = client.actAs(*c.App)
	case !c.Token.IsZero():
		client.main = client.credential(bearer{client.transport, c.Token})
	default:
		err = errors.New("GitHub credential: neither an App nor a token: want one of them")
	}
	if err != nil {
		return nil, err
	}
	return client, nil
}

func withDefaults(c Config) Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Backoff == 0 {
		c.Backoff = defaultBackoff
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock.Now == nil {
		c.Clock = clock.System()
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return c
}

// actAs creates the App's own credential.
func (c *Client) actAs(a App) error {
	if a.ID <= 0 {
		return fmt.Errorf("GitHub App id %d: want the number on the App's settings page", a.ID)
	}
	key, err := ParseKey(a.PrivateKey)
	if err != nil {
		return fmt.Errorf("GitHub App private key: %w", err)
	}
	c.key = key
	c.main = c.credential(c.appTransport())
	return nil
}

// Web returns GitHub's address for a browser, without a trailing slash.
func (c *Client) Web() string { return c.at.web }
