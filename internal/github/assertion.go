package github

import (
	"crypto/rsa"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// GitHub advises to date an App's token a minute back, in case clocks differ, and rejects a token that
// is valid for more than ten minutes. Five minutes leave room for a clock that is off the other way.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts
const (
	issuedBefore = time.Minute
	expiresAfter = 5 * time.Minute
)

// An appSigner signs ghinstallation's requests as the App, by GitHub's clock. ghinstallation signs by
// this machine's clock, with a tolerance of only 30 seconds. Requests with an installation's token
// pass unchanged.
type appSigner struct {
	next http.RoundTripper
	app  int64
	key  *rsa.PrivateKey
	now  func() time.Time // by GitHub's clock, as far as known
}

func (s appSigner) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
		return s.next.RoundTrip(req)
	}
	now := s.now().Truncate(time.Second) // GitHub requires whole seconds
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		IssuedAt: jwt.NewNumericDate(now.Add(-issuedBefore)), ExpiresAt: jwt.NewNumericDate(now.Add(expiresAfter)),
		Issuer: strconv.FormatInt(s.app, 10),
	}).SignedString(s.key)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+signed)
	return s.next.RoundTrip(req)
}

// A correctedClock is this machine's, corrected by what GitHub says of the time.
type correctedClock struct {
	local func() time.Time
	skew  atomic.Int64 // see ahead
}

// ahead is how far this machine's clock is ahead of GitHub's, by its last answer.
func (c *correctedClock) ahead() time.Duration { return time.Duration(c.skew.Load()) }

func (c *correctedClock) now() time.Time { return c.local().Add(-c.ahead()) }

// observe takes the time from the header of an answer, if it tells.
func (c *correctedClock) observe(h http.Header) {
	if h.Get("Date") != "" {
		c.skew.Store(int64(skew(h, c.local())))
	}
}
