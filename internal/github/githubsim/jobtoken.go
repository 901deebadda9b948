package githubsim

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenIssuer is the issuer in the tokens of jobs.
const tokenIssuer = "https://vstoken.actions.githubusercontent.com"

// actionsApp is the App that GITHUB_TOKENs are tokens of: GitHub Actions itself.
const actionsApp = 15368

// sign gives claims as a JWT of this Sim's, and good until expires.
func (s *Sim) sign(claims jwt.MapClaims, expires time.Time) (string, error) {
	key, err := s.signing()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	now := s.now()
	claims["iat"], claims["nbf"], claims["exp"], claims["jti"] = now.Unix(), now.Unix(), expires.Unix(), rand.Text()
	return jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
}

// signed returns the claims of a JWT that this Sim has signed and that is still good.
func (s *Sim) signed(token string) (jwt.MapClaims, error) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithExpirationRequired())
	claims := jwt.MapClaims{}
	_, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		key, err := s.signing()
		if err != nil {
			return nil, err
		}
		return &key.PublicKey, nil
	})
	return claims, err
}

// planID gives the id of the plan that j is part of: every job of a run's attempt has
// the same. The results service calls it the backend id of the run.
func (j *job) planID() string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("plan %d %d %s", j.RunID, j.Attempt, j.run.Created)))
	return uuidOf([16]byte(sum[:16]))
}

// orchestrationID gives the name of j in its plan, as GitHub makes it.
func (j *job) orchestrationID() string { return j.planID() + "." + j.Key + ".__default" }

// equip gives j its two tokens: one for GitHub's API, and one for the services of
// Actions, which the runner reads: it ends when that is no JWT.
// https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs
func (s *Sim) equip(j *job) error {
	expires := s.now().Add(j.timeout() + 10*time.Minute)
	access, err := s.sign(jwt.MapClaims{
		"iss": tokenIssuer, "aud": tokenIssuer, "orch_id": j.orchestrationID(), "job_id": j.guid,
		"scp": fmt.Sprintf("Actions.Results:%s:%s", j.planID(), j.guid),
	}, expires)
	if err != nil {
		return err
	}
	token, err := s.installationToken(actionsApp, j.run.repo.owner, expires)
	if err != nil {
		return err
	}
	j.access, j.token = access, token
	s.creds[digestOf(token)] = &credential{job: j}
	return nil
}

// accessJob returns the job whose access token r carries, nil without one. The
// caller holds mu.
func (s *Sim) accessJob(r *http.Request) *job {
	claims, err := s.signed(bearer(r))
	if err != nil || claims["iss"] != tokenIssuer {
		return nil
	}
	id, _ := claims["job_id"].(string)
	j := s.guids[id]
	if j == nil || j.orchestrationID() != claims["orch_id"] || j.Status == StatusCompleted && s.now().Sub(j.Completed) > afterJob {
		return nil
	}
	return j
}

// afterJob is how long a job's tokens are good for after its end: for the rest of the log.
const afterJob = time.Minute

// installationToken returns a token for an App at an account in the form that GitHub
// gives them since 2026: stateless, of about 520 characters.
// https://github.blog/changelog/2026-05-15-github-app-installation-tokens-per-request-override-header/
func (s *Sim) installationToken(app int64, at *account, expires time.Time) (string, error) {
	token, err := s.sign(jwt.MapClaims{"sub": "installation:" + strconv.FormatInt(at.installation, 10)}, expires)
	return fmt.Sprintf("ghs_%d_%s", app, token), err
}

// masks are what a job's runner hides in logs: regular expressions.
func (j *job) masks() []any {
	out := []any{}
	for _, secret := range []string{j.token, j.access} {
		out = append(out, object{"type": "regex", "value": regexp.QuoteMeta(secret)})
	}
	return out
}
