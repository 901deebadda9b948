// Package gitea is the part of Gitea's API that Mayfly uses, as a [forge.Forge].
//
// Gitea runs GitHub's workflows and speaks much of GitHub's API, and where it lacks what
// a scaler needs, this package makes do:
//
//   - A runner for one job: there is no generate-jitconfig. [Client.Register] does what
//     Gitea's own runner does to register, here: the registration token, which never
//     expires, does not leave this process, and the container gets an ephemeral runner.
//   - One runner of a name: Gitea takes any number of them. Register looks before.
//   - Removing an idle runner, never a busy one: Gitea removes either, and calls a runner idle
//     whose job is silent for ten seconds. [Client.RemoveRunner] closes the runner to new
//     jobs, and then looks at the jobs that run.
//   - Labels: Gitea minds their case. A runner is registered with each way in which jobs
//     have spelled its labels, so that it serves all of them.
//   - The attempt of a job: Gitea counts it when a runner takes the job, and a job keeps its
//     id when it is run again. [Client.Read] counts as GitHub does.
//   - Lost deliveries: Gitea does not tell of them. It lists the queued jobs of an
//     organisation in one call, so that looking for them often costs little.
//   - A ping: Gitea has none to send.
//
// Facts are of Gitea 1.26; where one has no address, it is from its source, as the
// comment says. internal/forgetest holds them against a real one.
//
// https://docs.gitea.com/api
package gitea

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Config is what a [Client] is made of.
type Config struct {
	URL   string        // Gitea's address as people know it, such as https://git.example.com
	Token secret.Secret // of a user who owns what is asked about

	// CA are certificates, in PEM, that are trusted besides the system's.
	CA []byte

	Timeout time.Duration // of one call, with reading its answer; 0 means 20 s
	Log     *slog.Logger  // nil: no log
}

const defaultTimeout = 20 * time.Second

// A Client calls Gitea with a token.
type Client struct {
	config    Config
	web       string // without a slash at the end
	http      *http.Client
	spellings spellings

	mu     sync.Mutex
	tokens map[forge.Scope]secret.Secret // registration tokens, by place; under mu
}

var _ forge.Forge = (*Client)(nil)

// New returns a Client. It makes no call.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("address %q of Gitea: want one such as https://git.example.com", c.URL)
	}
	if c.Token.IsZero() {
		return nil, errors.New("credential of Gitea: no token: want one")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	transport, err := newTransport(c.CA)
	if err != nil {
		return nil, err
	}
	return &Client{
		config: c, web: strings.TrimSuffix(u.String(), "/"), tokens: map[forge.Scope]secret.Secret{},
		http: &http.Client{Timeout: c.Timeout, Transport: transport, CheckRedirect: noRedirect},
	}, nil
}

// newTransport returns one that trusts the certificates in ca, too.
func newTransport(ca []byte) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	if len(ca) == 0 {
		return t, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("CA of Gitea: no certificate found: want PEM, starting with -----BEGIN CERTIFICATE-----")
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return t, nil
}

// noRedirect keeps a redirect from taking the credential elsewhere: it is the answer then.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Name implements forge.Forge.
func (c *Client) Name() string { return "Gitea" }

// Web implements forge.Forge.
func (c *Client) Web() string { return c.web }

// Pace implements forge.Forge: Gitea has no limit of calls, and a look at an organisation
// is one call and one more for each repository with queued jobs.
func (c *Client) Pace() forge.Pace { return forge.Pace{Jobs: 15 * time.Second, Calls: 100} }

// Check implements forge.Forge.
func (c *Client) Check(ctx context.Context) error {
	return c.do(ctx, request{doing: "asking Gitea whether it takes the token", method: http.MethodGet, path: "user", needs: "read:user"})
}
