package minirunner

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A Registration is how a runner is registered by hand, with a registration token.
type Registration struct {
	URL       string // of the repository, organisation or enterprise, such as https://github.com/acme/web
	Token     string // registration token
	Name      string
	Labels    []string // besides the system labels self-hosted, Linux and X64
	Group     int64    // id of the runner group; 0 means the default group, 1
	Ephemeral bool
}

// Register registers a runner with a key of its own, as config.sh of the
// official runner does, and returns what it is.
func Register(ctx context.Context, client *http.Client, r Registration) (Identity, error) {
	api, err := apiOf(r.URL)
	if err != nil {
		return Identity{}, err
	}
	c := &wire.Caller{HTTP: client, Authorization: "RemoteAuth " + r.Token, UserAgent: "GitHubActionsRunner-linux-x64/" + Version}
	var tenant struct {
		URL string `json:"url"`
		V2  bool   `json:"use_v2_flow"`
	}
	err = c.Post(ctx, api+"/actions/runner-registration", map[string]any{"url": r.URL, "runner_event": "register"}, &tenant)
	if err != nil {
		return Identity{}, fmt.Errorf("using the registration token: %w", err)
	}
	if tenant.URL == "" || !tenant.V2 {
		return Identity{}, errors.New("using the registration token: the answer has no url with use_v2_flow")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Identity{}, fmt.Errorf("making the runner's key: %w", err)
	}
	return r.register(ctx, c, api, tenant.URL, key)
}

func (r Registration) register(ctx context.Context, c *wire.Caller, api, tenant string, key *rsa.PrivateKey) (Identity, error) {
	labels := []map[string]any{}
	for _, l := range []string{"self-hosted", "Linux", "X64"} {
		labels = append(labels, map[string]any{"id": 0, "name": l, "type": "system"})
	}
	for _, l := range r.Labels {
		labels = append(labels, map[string]any{"id": 0, "name": l, "type": "user"})
	}
	group := max(r.Group, 1)
	var made registered
	err := c.Post(ctx, api+"/actions/runners/register", map[string]any{
		"url": r.URL, "group_id": group, "name": r.Name, "version": Version, "updates_disabled": true,
		"ephemeral": r.Ephemeral, "labels": labels, "public_key": keyXML(&key.PublicKey),
	}, &made)
	if err != nil {
		return Identity{}, fmt.Errorf("registering runner %q: %w", r.Name, err)
	}
	files, err := r.files(made, tenant, group, key)
	if err != nil {
		return Identity{}, err
	}
	return parseFiles(files)
}

// registered is GitHub's answer to a registration.
type registered struct {
	ID            int64  `json:"id"`
	Name          string `json:"name"`
	Authorization struct {
		AuthorizationURL string `json:"authorization_url"`
		ServerURL        string `json:"server_url"`
		ClientID         string `json:"client_id"`
	} `json:"authorization"`
}

// files is the configuration that config.sh writes.
func (r Registration) files(made registered, tenant string, group int64, key *rsa.PrivateKey) (map[string][]byte, error) {
	content := map[string]any{
		".runner": map[string]any{
			"agentId": made.ID, "agentName": r.Name, "poolId": group, "serverUrl": tenant, "gitHubUrl": r.URL,
			"workFolder": "_work", "useV2Flow": true, "serverUrlV2": made.Authorization.ServerURL,
			"disableUpdate": true, "ephemeral": r.Ephemeral,
		},
		".credentials": map[string]any{"scheme": "OAuth", "data": map[string]string{
			"clientId": made.Authorization.ClientID, "authorizationUrl": made.Authorization.AuthorizationURL, "requireFipsCryptography": "True",
		}},
		".credentials_rsaparams": parameters(key),
	}
	files := map[string][]byte{}
	for name, v := range content {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, err
		}
		files[name] = b
	}
	return files, nil
}

// keyXML is .NET's form of a public key.
func keyXML(k *rsa.PublicKey) string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("<RSAKeyValue><Modulus>%s</Modulus><Exponent>%s</Exponent></RSAKeyValue>",
		b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()))
}

// apiOf is the base of the API for what address points to: https://api.github.com,
// https://api.NAME.ghe.com, or /api/v3 on an Enterprise Server's own host.
func apiOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return "", fmt.Errorf("address %q: want one of a repository, organisation or enterprise, such as https://github.com/acme/web", address)
	}
	if u.Host == "github.com" || strings.HasSuffix(u.Host, ".ghe.com") {
		return u.Scheme + "://api." + u.Host, nil
	}
	return u.Scheme + "://" + u.Host + "/api/v3", nil
}
