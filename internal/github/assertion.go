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

// GitHub advises to issue an App's token a minute in the past, for clocks that differ, and takes none that
// lives longer than ten minutes. Half of that leaves the same room at the other end.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts
const (
	issuedBefore = time.Minute
	expiresAfter = 5 * time.Minute
)

// An appSigner signs what ghinstallation asks as the App: that has a clock of its own, and room
// of 30 seconds only. What goes with an installation's token passes as it is.
type appSigner struct {
	next http.RoundTripper
	app  int64
	key  *rsa.PrivateKey
	now  func() time.Time // by GitHub's clock, as far as it is known
}

func (s appSigner) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
		return s.next.RoundTrip(req)
	}
	now := s.now().Truncate(time.Second) // GitHub wants whole seconds
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
