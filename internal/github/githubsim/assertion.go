package githubsim

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// accessLife is how long an access token of a runner is good for.
const accessLife = time.Hour

// access is what a runner's access token stands for.
type access struct {
	runner  *runner
	expires time.Time
}

// issueAccess trades a client assertion, a JWT signed with the key that a runner
// is registered with, for an access token. Whatever is wrong is invalid_client.
// https://www.rfc-editor.org/rfc/rfc7523
func (s *Sim) issueAccess(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	assertion := r.FormValue("client_assertion")
	writeReply(w, s.locked(func() reply {
		runner, why := s.asserted(assertion)
		if runner == nil {
			s.log.Debug("client assertion refused", "err", why)
			return reply{code: http.StatusBadRequest, body: object{"error": "invalid_client", "error_description": why}}
		}
		token := newToken("v2.")
		s.access[digestOf(token)] = access{runner, s.now().Add(accessLife)}
		return ok(object{"access_token": token, "expires_in": int(accessLife.Seconds()), "token_type": "bearer"})
	}))
}

// asserted returns the runner that signed assertion, or an error.
func (s *Sim) asserted(assertion string) (*runner, string) {
	var claims jwt.RegisteredClaims
	var runner *runner
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "PS256"}), jwt.WithTimeFunc(s.now),
		jwt.WithExpirationRequired(), jwt.WithLeeway(time.Minute))
	_, err := parser.ParseWithClaims(assertion, &claims, func(*jwt.Token) (any, error) {
		if runner = s.clients[claims.Issuer]; runner == nil {
			return nil, jwt.ErrTokenInvalidIssuer
		}
		return runner.key, nil
	})
	switch {
	case err != nil:
		return nil, err.Error()
	case !slices.ContainsFunc(claims.Audience, isTokenURL):
		return nil, "audience: want the address that this was sent to"
	}
	return runner, ""
}

// isTokenURL reports whether audience is ours; what host a runner knows us by is
// not ours to say.
func isTokenURL(audience string) bool {
	u, err := url.Parse(audience)
	return err == nil && u.Path == pathToken
}

// known returns the runner whose access token r carries, registered still or not; nil
// without one. The caller holds mu.
func (s *Sim) known(r *http.Request) *runner {
	a, found := s.access[digestOf(bearer(r))]
	if !found || !s.now().Before(a.expires) {
		return nil
	}
	return a.runner
}

// caller identifies a registered runner. The caller holds mu.
func (s *Sim) caller(r *http.Request) *runner {
	if k := s.known(r); k != nil && s.registered(k) {
		return k
	}
	return nil
}

func (s *Sim) registered(r *runner) bool { return s.runners[r.ID] == r }
