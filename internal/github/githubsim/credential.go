package githubsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// An App is a GitHub App, installed at every account.
type App struct {
	ID     int64
	Slug   string
	Key    *rsa.PublicKey // of the private key that signs its JWTs
	Hook   string         // URL of its webhook; "": none
	Secret secret.Secret  // of its webhook
}

// A digest stands for a token: looked up by it, a token is compared in no time
// that depends on the token.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// A credential is a token of the REST API.
type credential struct {
	expires time.Time   // zero: never
	owner   *account    // of an installation token: whose repositories it may see
	admin   bool        // a personal access token: it may see all
	only    *scope      // of a registration or remove token: all it may see
	job     *job        // of a job's own GITHUB_TOKEN, which manages nothing
	reads   *repository // all that it may read; of a token to download an action
	limit   int         // requests in an hour; 0 for Config.RateLimit
	used    int         // requests in this hour
	reset   time.Time   // when the hour ends
}

// sees reports whether c may see sc.
func (c *credential) sees(sc scope) bool {
	switch {
	case c.admin:
		return true
	case c.only != nil:
		return *c.only == sc
	}
	return c.owner != nil && c.owner == sc.account()
}

// mayRead reports whether c, nil for nobody, may read repo. Everybody may read a public one.
func (c *credential) mayRead(repo *repository) bool {
	switch {
	case !repo.private:
		return true
	case c == nil:
		return false
	}
	return c.sees(scope{repo: repo}) || c.reads == repo || c.job != nil && c.job.run.repo == repo
}

func (s *Sim) addCredentials() {
	for _, t := range s.cfg.Tokens {
		s.creds[digestOf(t.Reveal())] = &credential{admin: true}
	}
	if app := s.cfg.App; app != nil {
		s.creds[appDigest] = &credential{}
		s.addAppHook(app)
	}
}

// appDigest counts the App's own requests; no token has it.
var appDigest = digest{}

// bearer gives the token of a request: of Authorization's second word, or the
// password of basic authentication.
func bearer(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token)
}

// credential returns the caller's credential, nil without one. The caller holds mu.
func (s *Sim) credential(r *http.Request) *credential {
	token := bearer(r)
	if token == "" {
		return nil
	}
	c := s.creds[digestOf(token)]
	if c == nil || !c.expires.IsZero() && !s.now().Before(c.expires) {
		return nil
	}
	return c
}

// appAsks returns why r does not come from the App, "" if it does.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
func (s *Sim) appAsks(r *http.Request) string {
	app := s.cfg.App
	if app == nil {
		return "A JSON web token could not be decoded"
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithExpirationRequired())
	token, err := parser.Parse(bearer(r), func(*jwt.Token) (any, error) { return app.Key, nil })
	if err != nil {
		return "A JSON web token could not be decoded"
	}
	claims := token.Claims.(jwt.MapClaims) // what Parse makes
	issued, _ := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime()
	switch {
	case issuer(claims) != strconv.FormatInt(app.ID, 10):
		return "'Issuer' claim ('iss') must be the App's id"
	case issued == nil:
		return "Missing 'issued at' claim ('iat') in assertion"
	case issued.After(s.now()):
		return "'Issued at' claim ('iat') must be an Integer representing a time in the past"
	case expires.After(s.now().Add(10 * time.Minute)):
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

// issuer gives the iss claim, which may be a text or a number.
func issuer(claims jwt.MapClaims) string {
	switch v := claims["iss"].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatInt(int64(v), 10)
	}
	return ""
}

// newToken returns a token of GitHub's look, such as ghs_….
func newToken(prefix string) string { return prefix + rand.Text() + rand.Text()[:10] }
