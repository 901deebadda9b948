package github

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v88/github"
)

// A credential is a client that authenticates in one way, with the rate limit that GitHub
// counts for it.
type credential struct {
	http         *http.Client
	budget       *budget
	installation *ghinstallation.Transport // nil unless it is an installation of the App
	refreshing   chan struct{}             // a lock, with one slot: its holder requests a new token
}

// credential returns a credential whose requests go through t.
func (c *Client) credential(t http.RoundTripper) *credential {
	client := &http.Client{Transport: t, CheckRedirect: sameHost}
	return &credential{http: client, budget: newBudget(c.config.Clock), refreshing: make(chan struct{}, 1)}
}

// appTransport returns a transport that signs requests as the App. It must not be shared,
// because ghinstallation writes to it.
func (c *Client) appTransport() *ghinstallation.AppsTransport {
	signer := appSigner{next: c.transport, app: c.config.App.ID, key: c.key, now: c.clock.now}
	t := ghinstallation.NewAppsTransportFromPrivateKey(signer, c.config.App.ID, c.key)
	t.BaseURL = strings.TrimSuffix(c.at.api, "/")
	return t
}

// installationCredential returns a credential that acts as installation id of the App.
func (c *Client) installationCredential(id int64) *credential {
	t := ghinstallation.NewFromAppsTransport(c.appTransport(), id)
	t.InstallationTokenOptions = &gh.InstallationTokenOptions{} // all granted permissions; nil would be sent as "null"
	cred := c.credential(t)
	cred.installation = t
	return cred
}

// id returns the id of the installation, or 0.
func (cred *credential) id() int64 {
	if cred.installation == nil {
		return 0
	}
	return cred.installation.InstallationID()
}

// refresh makes sure that the installation has a token: one lasts an hour and is replaced a
// minute before that. ghinstallation would do so during the call, but then an error of the
// token request would look like one of the call. One caller at a time, so that concurrent
// calls do not each request a token; the wait ends with ctx, unlike that of a mutex.
func (cred *credential) refresh(ctx context.Context) error {
	if cred.installation == nil {
		return nil
	}
	select {
	case cred.refreshing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-cred.refreshing }()
	_, err := cred.installation.Token(ctx)
	return err
}

// tokenAnswer returns the HTTP response in an error of ghinstallation, or nil.
func tokenAnswer(err error) *http.Response {
	var e *ghinstallation.HTTPError
	if errors.As(err, &e) {
		return e.Response
	}
	return nil
}

// installations keeps a credential for each owner that the App is installed on.
type installations struct {
	mu      sync.Mutex
	byOwner map[string]*installation // by lower-case owner; guarded by mu
}

// An installation is looked up once. Its slot is held during the lookup, so that a thousand
// simultaneous jobs cause one call.
type installation struct {
	finding chan struct{}
	cred    *credential // nil until found; guarded by finding
}

func (is *installations) of(owner string) *installation {
	is.mu.Lock()
	defer is.mu.Unlock()
	in := is.byOwner[owner]
	if in == nil {
		in = &installation{finding: make(chan struct{}, 1)}
		if is.byOwner == nil {
			is.byOwner = map[string]*installation{}
		}
		is.byOwner[owner] = in
	}
	return in
}

// acting returns the credential for calls about s.
func (c *Client) acting(ctx context.Context, s Scope) (*credential, error) {
	if c.key == nil || s.Kind == app {
		return c.main, nil
	}
	in := c.installed.of(c.ownerKey(s))
	select {
	case in.finding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-in.finding }()
	if in.cred != nil {
		return in.cred, nil
	}
	id, err := c.findInstallation(ctx, s)
	if err != nil {
		return nil, err
	}
	in.cred = c.installationCredential(id)
	return in.cred, nil
}

// ownerKey returns the key of s in installations. If the configuration names an installation,
// all owners share it, and its budget.
func (c *Client) ownerKey(s Scope) string {
	if c.config.App.Installation != 0 {
		return ""
	}
	if s.Kind == enterprise {
		return strings.ToLower(s.String())
	}
	return strings.ToLower(s.Owner)
}

// renew forgets cred after GitHub rejected it, so that the next call looks up the installation
// again: the App may have been reinstalled. It keeps a newer credential that another call has
// found meanwhile. It reports whether a new attempt can succeed.
func (c *Client) renew(ctx context.Context, s Scope, cred *credential) bool {
	if cred.installation == nil {
		return false
	}
	in := c.installed.of(c.ownerKey(s))
	select {
	case in.finding <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-in.finding }()
	if in.cred == cred {
		in.cred = nil
	}
	return true
}

// findInstallation returns the id of the App's installation for s.
func (c *Client) findInstallation(ctx context.Context, s Scope) (int64, error) {
	switch {
	case c.config.App.Installation != 0:
		return c.config.App.Installation, nil
	case s.Kind == enterprise:
		return c.findEnterprise(ctx, s)
	}
	var found gh.Installation
	_, err := c.doAs(ctx, c.main, request{
		doing: "finding the App's installation on " + s.String(), scope: s,
		method: http.MethodGet, path: restPath(s) + "/installation", into: &found, priority: urgent,
		needs: "to be installed there",
	})
	return found.GetID(), err
}

// findEnterprise searches all installations, because GitHub has no call to find the one of an
// enterprise.
func (c *Client) findEnterprise(ctx context.Context, s Scope) (id int64, err error) {
	type page []struct {
		ID      int64
		Account struct{ Slug string }
	}
	r := request{
		doing: "finding the App's installation on " + s.String(), scope: s,
		method: http.MethodGet, path: "app/installations", priority: urgent, needs: "to be installed there",
	}
	asApp := func(ctx context.Context, r request) (http.Header, error) { return c.doAs(ctx, c.main, r) }
	err = list(ctx, asApp, r, func(p page) bool {
		for _, in := range p {
			if strings.EqualFold(in.Account.Slug, s.Owner) {
				id = in.ID
			}
		}
		return id == 0
	})
	if err == nil && id == 0 {
		e := &Error{Doing: r.doing, Kind: ErrNotFound}
		e.Advice = hint(e, r)
		return 0, e
	}
	return id, err
}
