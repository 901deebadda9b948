package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const appID = 1234

// appKey is the private key of the App of these tests.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func asApp(c *github.Config) {
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(appKey())}
	c.Token = secret.Secret{}
	c.App = &github.App{ID: appID, PrivateKey: secret.New(string(pem.EncodeToMemory(block)))}
}

// signed lets only the App itself through.
func signed(t *testing.T, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims := &jwt.RegisteredClaims{}
		_, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &appKey().PublicKey, nil },
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(fmt.Sprint(appID)), jwt.WithExpirationRequired())
		if err != nil {
			t.Errorf("%s: the App's signature: %v", r.URL.Path, err)
		}
		next(w, r)
	}
}

// bearing lets only token through.
func bearing(t *testing.T, token string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "token "+token && got != "Bearer "+token {
			t.Errorf("%s: Authorization is %q, want the token %q", r.URL.Path, got, token)
		}
		next(w, r)
	}
}

func installed(id int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, openapi.Minimal("installation", map[string]any{"id": id}))
	}
}

func token(value string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply(w, 201, map[string]any{"token": value, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	}
}

// TestAppAsksOnce has fifty jobs of one owner at once: the installation is found
// once and one token is asked for.
func TestAppAsksOnce(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/installation":        signed(t, installed(5)),
		"POST /app/installations/5/access_tokens": signed(t, token("ghs_5")),
		jitRoute:                       bearing(t, "ghs_5", registered),
		"GET /orgs/other/installation": signed(t, installed(6)),
		"POST /app/installations/6/access_tokens":       signed(t, token("ghs_6")),
		"GET /orgs/other/actions/runners":               bearing(t, "ghs_6", noRunners),
		"GET /repos/ACME/another/actions/runners":       bearing(t, "ghs_5", noRunners),
		"POST /orgs/other/actions/runners/remove-token": bearing(t, "ghs_6", func(w http.ResponseWriter, r *http.Request) { token("T")(w, r) }),
	})
	c := s.client(t, asApp)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls := s.seen(); len(calls) != 52 {
		t.Errorf("%d calls, want 50 and two for the credential", len(calls))
	}
	for range 2 {
		if _, err := c.Runners(t.Context(), scope(t, "other")); err != nil {
			t.Error(err)
		}
		if _, err := c.Runners(t.Context(), scope(t, "ACME/another")); err != nil {
			t.Error(err)
		}
	}
	if calls := s.seen(); len(calls) != 52+2+4 {
		t.Errorf("calls %q, want an installation of its own for the other owner only", calls[52:])
	}
}

func TestAppWithInstallationGiven(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"POST /app/installations/9/access_tokens": signed(t, token("ghs_9")),
		jitRoute: bearing(t, "ghs_9", registered),
	})
	c := s.client(t, asApp, func(c *github.Config) { c.App.Installation = 9 })
	if _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); err != nil {
		t.Error(err)
	}
}

// TestAppOfEnterprise looks through all pages of installations.
func TestAppOfEnterprise(t *testing.T) {
	all := make([]any, 150)
	for i := range all {
		account := openapi.Minimal("simple-user", openapi.Minimal("enterprise", map[string]any{"slug": fmt.Sprintf("e%d", i)}))
		all[i] = openapi.Minimal("installation", map[string]any{"id": 1000 + i, "account": account})
	}
	s := serve(t, map[string]http.HandlerFunc{
		"GET /app/installations":                                    signed(t, paged(func() []any { return all }, "", nil)),
		"POST /app/installations/1149/access_tokens":                token("ghs_e"),
		"POST /enterprises/E149/actions/runners/generate-jitconfig": bearing(t, "ghs_e", registered),
	})
	c := s.client(t, asApp)
	if _, err := c.Register(t.Context(), scope(t, "enterprises/E149"), jitRequest(1)); err != nil {
		t.Error(err)
	}
	_, err := c.Register(t.Context(), scope(t, "enterprises/none"), jitRequest(1))
	if !errors.Is(err, github.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// TestAppInstalledAnew has an installation that GitHub does not accept any more,
// first its token and then all of it.
func TestAppInstalledAnew(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/installation":        inTurn(installed(5), installed(5), installed(6)),
		"POST /app/installations/5/access_tokens": inTurn(token("old"), token("new"), refuse(404, "Not Found")),
		"POST /app/installations/6/access_tokens": token("six"),
		jitRoute: func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Authorization"), "old") {
				refuse(401, "Bad credentials")(w, r)
				return
			}
			registered(w, r)
		},
		runnersRoute: inTurn(refuse(401, "Bad credentials"), bearing(t, "six", noRunners)),
	})
	c := s.client(t, asApp)
	web := scope(t, "acme/web")
	if _, err := c.Register(t.Context(), web, jitRequest(1)); err != nil {
		t.Errorf("with a token that was revoked: %v", err)
	}
	if _, err := c.Runners(t.Context(), web); err != nil {
		t.Errorf("with an installation that is another now: %v", err)
	}
	want := []string{
		"GET /repos/acme/web/installation", "POST /app/installations/5/access_tokens", "POST /repos/acme/web/actions/runners/generate-jitconfig",
		"GET /repos/acme/web/installation", "POST /app/installations/5/access_tokens", "POST /repos/acme/web/actions/runners/generate-jitconfig",
	}
	if calls := s.seen(); strings.Join(calls[:6], "\n") != strings.Join(want, "\n") {
		t.Errorf("calls %q, want %q", calls[:6], want)
	}
}

// TestAppRemovedAndInstalledAnew has an installation that is gone when its token
// has run out.
func TestAppRemovedAndInstalledAnew(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/installation":        inTurn(installed(5), installed(6)),
		"POST /app/installations/5/access_tokens": refuse(404, "Not Found"),
		"POST /app/installations/6/access_tokens": token("six"),
		jitRoute: bearing(t, "six", registered),
	})
	if _, err := s.client(t, asApp).Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); err != nil {
		t.Error(err)
	}
}

// TestAppCannotAct is about errors of the credential, not of the call.
func TestAppCannotAct(t *testing.T) {
	tests := []struct {
		name     string
		find     http.HandlerFunc
		token    http.HandlerFunc
		want     error
		doing    string
		attempts int
	}{
		{"not installed", refuse(404, "Not Found"), nil, github.ErrNotFound, "finding the App's installation on acme/web", 1},
		{"key of another App", refuse(401, "A JSON web token could not be decoded"), nil, github.ErrUnauthorized, "finding", 1},
		{"suspended", installed(5), refuse(403, "This installation has been suspended"), github.ErrForbidden, "asking for an installation token", 2},
		{"GitHub down", installed(5), refuse(502, "boom"), github.ErrUnavailable, "asking for an installation token", 5},
		{"cut", installed(5), cut, github.ErrUnavailable, "asking for an installation token", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes := map[string]http.HandlerFunc{"GET /repos/acme/web/installation": tt.find}
			if tt.token != nil {
				routes["POST /app/installations/5/access_tokens"] = tt.token
			}
			s := serve(t, routes)
			c := s.client(t, asApp)
			_, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.doing) {
				t.Errorf("%v, want %v while %s", err, tt.want, tt.doing)
			}
			if errors.Is(err, github.ErrLost) {
				t.Errorf("%v: nothing was sent that could be lost", err)
			}
			if calls := s.seen(); len(calls) != tt.attempts {
				t.Errorf("calls %q, want %d", calls, tt.attempts)
			}
			if err := c.RemoveRunner(t.Context(), scope(t, "acme/web"), 1); !errors.Is(err, tt.want) {
				t.Errorf("removing a runner: %v, want %v: nobody said that it is gone", err, tt.want)
			}
		})
	}
}

// TestTokenLimitIsTheInstallations has a rate limit on the way to a token.
func TestTokenLimitIsTheInstallations(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"GET /repos/acme/web/installation":        installed(5),
		"POST /app/installations/5/access_tokens": refuse(429, "slow down", "Retry-After", "60"),
		"GET /orgs/other/installation":            installed(6),
		"POST /app/installations/6/access_tokens": token("ghs_6"),
		"GET /orgs/other/actions/runners":         noRunners,
	})
	c := s.client(t, asApp)
	for range 2 {
		_, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1))
		until(t, err)
	}
	if calls := s.seen(); len(calls) != 2 {
		t.Errorf("calls %q, want none while the limit holds", calls)
	}
	if _, err := c.Runners(t.Context(), scope(t, "other")); err != nil {
		t.Errorf("another installation: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	key := secret.New("-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----")
	for name, config := range map[string]github.Config{
		"no credential": {},
		"two":           {Token: secret.New("x"), App: &github.App{ID: 1, PrivateKey: key}},
		"no App id":     {App: &github.App{PrivateKey: key}},
		"no key":        {App: &github.App{ID: 1}},
		"broken key":    {App: &github.App{ID: 1, PrivateKey: key}},
		"plain HTTP":    {URL: "http://github.example", Token: secret.New("x")},
	} {
		if _, err := github.New(config); err == nil || strings.Contains(err.Error(), "nonsense") {
			t.Errorf("%s: %v, want an error without the key", name, err)
		}
	}
}
