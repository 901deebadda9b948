package wire

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// An OAuthError is a refusal of the token service (RFC 6749, 5.2).
type OAuthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *OAuthError) Error() string { return e.Description }

// AccessToken exchanges a client assertion for an access token (RFC 7523). Its
// caller needs no authorization.
func (c *Caller) AccessToken(ctx context.Context, address, assertion string) (string, error) {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.Do(req)
	if err != nil {
		return "", fmt.Errorf("getting an access token: %w", oauth(err))
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &token); err != nil || token.AccessToken == "" {
		return "", errors.New("getting an access token: the answer has no access_token")
	}
	return token.AccessToken, nil
}

// oauth reads err as a refusal of the token service, if it is one.
func oauth(err error) error {
	var status *StatusError
	var refused OAuthError
	if errors.As(err, &status) && json.Unmarshal(status.Body, &refused) == nil && refused.Code != "" {
		return &refused
	}
	return err
}

// ErrNoJWT is the error of an access token that is no JWT (JsonWebToken.cs).
const ErrNoJWT Words = "Failed to deserialize the JsonWebToken object."

// CheckJWT returns ErrNoJWT unless token is a JSON Web Token: three parts of
// base64url, the first two JSON objects. The signature is not for a runner to judge.
func CheckJWT(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ErrNoJWT
	}
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
		var object map[string]any
		if err != nil || i < 2 && json.Unmarshal(b, &object) != nil {
			return ErrNoJWT
		}
	}
	return nil
}
