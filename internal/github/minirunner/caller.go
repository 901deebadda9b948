package minirunner

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer; a job message is the largest.
const maxAnswer = 16 << 20

// Pauses between attempts of a call that may be repeated.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 10 * time.Second
)

// A StatusError is an answer other than 2xx.
type StatusError struct {
	Call   string // method and URL
	Status int
	Body   string // its beginning
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.Call, e.Status, http.StatusText(e.Status), e.Body)
}

// statusOf is the status of an error that is an answer, or 0.
func statusOf(err error) int {
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// A caller makes JSON calls with one authorization.
type caller struct {
	http          *http.Client
	authorization string
}

func (c *caller) post(ctx context.Context, address string, in, out any) error {
	return c.call(ctx, http.MethodPost, address, in, out)
}

// call makes one call. An empty answer leaves out as it is.
func (c *caller) call(ctx context.Context, method, address string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.do(req)
	if err != nil || out == nil || len(answer) == 0 {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the answer of %s %s: %w", method, req.URL.Path, err)
	}
	return nil
}

func (c *caller) do(req *http.Request) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mayfly-minirunner/"+Version)
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s %s: %w", req.Method, req.URL.Path, err)
	}
	if res.StatusCode/100 != 2 {
		return nil, &StatusError{req.Method + " " + req.URL.Path, res.StatusCode, string(answer[:min(len(answer), 300)])}
	}
	return answer, nil
}

// persist repeats call while the network or the server fails and ctx lasts. An
// answer of 4xx other than 429 is final.
func persist(ctx context.Context, call func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := call()
		status := statusOf(err)
		if err == nil || status/100 == 4 && status != http.StatusTooManyRequests {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// login gets an access token for the runner: a client assertion signed with its
// key (RFC 7523), as GitHub's token service wants it.
func login(ctx context.Context, client *http.Client, id Identity, now time.Time) (*caller, error) {
	assertion, err := id.assertion(now)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, id.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&caller{http: client}).do(req)
	if err != nil {
		return nil, fmt.Errorf("getting an access token: %w", err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &token); err != nil || token.AccessToken == "" {
		return nil, errors.New("getting an access token: the answer holds none")
	}
	return &caller{client, "Bearer " + token.AccessToken}, nil
}

// assertionLife is how long a client assertion is good for.
const assertionLife = 5 * time.Minute

// assertion is a JWT that says who asks, signed with RS256.
func (id Identity) assertion(now time.Time) (string, error) {
	header, _ := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT"})
	claims, _ := json.Marshal(map[string]any{
		"sub": id.ClientID, "iss": id.ClientID, "aud": id.TokenURL, "jti": rand.Text(),
		"nbf": now.Add(-30 * time.Second).Unix(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, id.Key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing the client assertion: %w", err)
	}
	return signed + "." + b64(signature), nil
}
