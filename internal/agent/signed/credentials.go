package signed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// The variables by which ECS tells a container where its role's credentials are.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
const (
	relativeURI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	fullURI     = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	token       = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	tokenFile   = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

	endpoint = "http://169.254.170.2" // what a relative URI is relative to
)

// early is how long before their end credentials are got anew, as AWS's SDKs do.
const early = 5 * time.Minute

// askLimit is for one question; the endpoint is on the same host.
const askLimit = 5 * time.Second

// keys are what a role's session signs with.
type keys struct {
	ID      string    `json:"AccessKeyId"`
	Secret  string    `json:"SecretAccessKey"`
	Token   string    `json:"Token"`
	Expires time.Time `json:"Expiration"` // zero: never
}

// A source gets keys from the container's credentials endpoint and keeps them
// until they are about to expire.
type source struct {
	address string
	token   func() (string, error) // for the Authorization header; "" for none
	http    *http.Client

	mu   sync.Mutex
	last keys
}

// newSource reads where the endpoint is. An address that would send the token out
// of the host in clear is refused, as AWS's SDKs refuse it.
func newSource(lookup func(string) string) (*source, error) {
	s := &source{http: &http.Client{Timeout: askLimit, Transport: &http.Transport{DisableKeepAlives: true}}}
	s.token = func() (string, error) {
		if path := lookup(tokenFile); path != "" {
			text, err := os.ReadFile(path)
			return string(text), err
		}
		return lookup(token), nil
	}
	switch relative, full := lookup(relativeURI), lookup(fullURI); {
	case relative != "":
		s.address = endpoint + relative
	case full == "":
		return nil, fmt.Errorf("no credentials of a task role: want %s or %s in the environment, as ECS sets it for a task with a role", relativeURI, fullURI)
	case !mayAsk(full):
		return nil, fmt.Errorf("%s %q: want https, or an address of this host", fullURI, full)
	default:
		s.address = full
	}
	return s, nil
}

// mayAsk reports whether address is encrypted or one at which ECS and EKS serve
// credentials on the host itself.
func mayAsk(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	local := []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
	return u.Scheme == "https" || u.Scheme == "http" && (isLoopback(u.Hostname()) || slices.Contains(local, u.Hostname()))
}

// get returns keys that are good for a while. When new ones cannot be had, those at
// hand are used to their end.
func (s *source) get(ctx context.Context, now time.Time) (keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.goodAt(now.Add(early)) {
		return s.last, nil
	}
	fresh, err := s.ask(ctx)
	switch {
	case err == nil:
		s.last = fresh
	case !s.last.goodAt(now):
		return keys{}, fmt.Errorf("getting credentials of the task role: %w", err)
	}
	return s.last, nil
}

func (k keys) goodAt(t time.Time) bool {
	return k.ID != "" && (k.Expires.IsZero() || t.Before(k.Expires))
}

func (s *source) ask(ctx context.Context) (k keys, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		return keys{}, err
	}
	authorization, err := s.token()
	if err != nil {
		return keys{}, err
	}
	if authorization = strings.TrimSpace(authorization); authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return keys{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return keys{}, errors.New("the endpoint answered " + res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&k); err != nil {
		return keys{}, fmt.Errorf("reading the endpoint's answer: %w", err)
	}
	if k.ID == "" || k.Secret == "" {
		return keys{}, errors.New("the endpoint's answer holds no keys")
	}
	return k, nil
}
