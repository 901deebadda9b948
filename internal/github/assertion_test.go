package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

// refusedByTime answers as GitHub does to an App's token by its times, and says what they are; "" for a good one.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts
func refusedByTime(r *http.Request, now time.Time) string {
	claims := &jwt.RegisteredClaims{}
	raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &appKey().PublicKey, nil }, jwt.WithoutClaimsValidation())
	switch {
	case err != nil:
		return err.Error()
	case claims.IssuedAt.After(now):
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case !claims.ExpiresAt.After(now):
		return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case claims.ExpiresAt.After(now.Add(10 * time.Minute)):
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

// byTheClock lets an App through whose token is good by GitHub's clock, which is this test's.
func byTheClock(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		if why := refusedByTime(r, time.Now()); why != "" {
			refuse(401, why)(w, r)
			return
		}
		next(w, r)
	}
}

// fast has a client's clock be ahead of the machine's.
func fast(by time.Duration) func(*github.Config) {
	return func(c *github.Config) { c.Clock = clock.Of(func() time.Time { return time.Now().Add(by) }) }
}

// TestClocksDiffer has a machine whose clock is not GitHub's: by a minute either way nobody notices; by more, the first
// call is made twice.
func TestClocksDiffer(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		calls int
	}{
		{0, 3}, {59 * time.Second, 3}, {-60 * time.Second, 3},
		{2 * time.Minute, 4}, {-6 * time.Minute, 4}, {7 * time.Minute, 4}, {100 * time.Hour, 4}, {-100 * time.Hour, 4},
	} {
		t.Run(fmt.Sprint(c.ahead), func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{
				"GET /repos/acme/web/installation":        byTheClock(installed(5)),
				"POST /app/installations/5/access_tokens": byTheClock(token("ghs_5")),
				jitRoute: bearing(t, "ghs_5", registered),
			})
			client := s.client(t, asApp, fast(c.ahead))
			if _, err := client.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); err != nil {
				t.Fatal(err)
			}
			if n := len(s.seen()); n != c.calls {
				t.Errorf("%d calls %q, want %d", n, s.seen(), c.calls)
			}
		})
	}
}

// TestClockDiffersForSeveral: of calls that are under way at once, each is made again, whichever
// of them was the first to hear of GitHub's time.
func TestClockDiffersForSeveral(t *testing.T) {
	const calls = 3
	var first sync.WaitGroup
	first.Add(calls)
	answer := byTheClock(func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, openapi.Minimal("integration", nil)) })
	s := serve(t, map[string]http.HandlerFunc{"GET /app": func(w http.ResponseWriter, r *http.Request) {
		if refusedByTime(r, time.Now()) != "" { // none is answered before all have come
			first.Done()
			first.Wait()
		}
		answer(w, r)
	}})
	client := s.client(t, asApp, fast(time.Hour))
	errs := make(chan error, calls)
	for range calls {
		go func() { errs <- client.Check(t.Context()) }()
	}
	for range calls {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestRefusedForGood: a 401 that has nothing to do with clocks is met once, or after the correction once more.
func TestRefusedForGood(t *testing.T) {
	for ahead, calls := range map[time.Duration]int{0: 1, time.Hour: 2} {
		s := serve(t, map[string]http.HandlerFunc{"GET /app": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
			refuse(401, "A JSON web token could not be decoded")(w, r)
		}})
		client := s.client(t, asApp, fast(ahead))
		if err := client.Check(t.Context()); err == nil || len(s.seen()) != calls {
			t.Errorf("clock ahead by %v: %v after %d calls, want an error after %d", ahead, err, len(s.seen()), calls)
		}
	}
}

// TestLongTokens: installation tokens have some 520 characters since May 2026, and look otherwise than before.
func TestLongTokens(t *testing.T) {
	long := "ghs_1234_eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("a-_Z", 80) + "." + strings.Repeat("s9", 85)
	s := serve(t, map[string]http.HandlerFunc{
		"GET /app":                                func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, openapi.Minimal("integration", nil)) },
		"GET /repos/acme/web/installation":        installed(5),
		"POST /app/installations/5/access_tokens": token(long),
		jitRoute:     bearing(t, long, registered),
		runnersRoute: bearing(t, long, noRunners),
	})
	c := s.client(t, asApp)
	if _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); err != nil {
		t.Error(err)
	}
	if _, err := c.Runners(t.Context(), scope(t, "acme/web")); err != nil {
		t.Error(err)
	}
}
