package minirunner

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"strings"
)

// An Identity is a registered runner as its configuration describes it.
type Identity struct {
	ID        int64
	Name      string
	PoolID    int64
	Ephemeral bool
	GitHubURL string          // of the repository, organisation or enterprise
	Broker    string          // base URL of the broker, without a slash at its end
	TokenURL  string          // where access tokens are given
	ClientID  string          // who asks for them
	Key       *rsa.PrivateKey // proves it
}

// The files inside a JIT configuration, which are those of a configured runner
// (actions/runner, ConfigurationStore.cs). All values of .runner are strings there.
type (
	runnerFile struct {
		AgentID     text   `json:"AgentId"`
		AgentName   string `json:"AgentName"`
		PoolID      text   `json:"PoolId"`
		Ephemeral   text   `json:"Ephemeral"`
		GitHubURL   string `json:"GitHubUrl"`
		ServerURLV2 string `json:"ServerUrlV2"`
	}
	credentialsFile struct {
		Scheme string
		Data   struct {
			ClientID         string `json:"ClientId"`
			AuthorizationURL string `json:"AuthorizationUrl"`
		}
	}
	keyFile struct {
		Modulus  []byte `json:"modulus"`
		Exponent []byte `json:"exponent"`
		D        []byte `json:"d"`
		P        []byte `json:"p"`
		Q        []byte `json:"q"`
	}
)

// text is a string, number or bool of JSON as text: both are seen.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = text(strings.Trim(string(b), `"`))
	return nil
}

// maxJIT is far more than a configuration takes: it is about 4 KB.
const maxJIT = 256 << 10

// DecodeJIT reads an encoded_jit_config: base64 of a JSON object of files, each
// in base64.
func DecodeJIT(encoded string) (Identity, error) {
	var (
		runner runnerFile
		creds  credentialsFile
		key    keyFile
	)
	if len(encoded) > maxJIT {
		return Identity{}, fmt.Errorf("reading the JIT configuration: %d bytes: want at most %d", len(encoded), maxJIT)
	}
	all, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return Identity{}, fmt.Errorf("reading the JIT configuration: %w", err)
	}
	var files map[string][]byte
	if err := json.Unmarshal(all, &files); err != nil {
		return Identity{}, fmt.Errorf("reading the JIT configuration: %w", err)
	}
	for name, into := range map[string]any{".runner": &runner, ".credentials": &creds, ".credentials_rsaparams": &key} {
		if err := json.Unmarshal(bytes.TrimPrefix(files[name], []byte("\ufeff")), into); err != nil {
			return Identity{}, fmt.Errorf("reading %s of the JIT configuration: %w", name, err)
		}
	}
	return identity(runner, creds, key)
}

// identity checks and joins what the files say.
func identity(r runnerFile, c credentialsFile, k keyFile) (Identity, error) {
	id, err := strconv.ParseInt(string(r.AgentID), 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("AgentId %q of the JIT configuration: want a number", r.AgentID)
	}
	pool, err := strconv.ParseInt(string(r.PoolID), 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("PoolId %q of the JIT configuration: want a number", r.PoolID)
	}
	for what, address := range map[string]string{"ServerUrlV2": r.ServerURLV2, "AuthorizationUrl": c.Data.AuthorizationURL} {
		if u, err := url.Parse(address); err != nil || u.Host == "" {
			return Identity{}, fmt.Errorf("%s %q of the JIT configuration: want a URL", what, address)
		}
	}
	key, err := k.privateKey()
	if err != nil {
		return Identity{}, fmt.Errorf("key of the JIT configuration: %w", err)
	}
	return Identity{
		ID: id, Name: r.AgentName, PoolID: pool, Ephemeral: strings.EqualFold(string(r.Ephemeral), "true"),
		GitHubURL: r.GitHubURL, Broker: strings.TrimSuffix(r.ServerURLV2, "/"),
		TokenURL: c.Data.AuthorizationURL, ClientID: c.Data.ClientID, Key: key,
	}, nil
}

func (k keyFile) privateKey() (*rsa.PrivateKey, error) {
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	const most = 512 // bytes: 4096 bits; checking a hostile number must not take long
	if max(len(k.Modulus), len(k.D), len(k.P), len(k.Q)) > most || len(k.Exponent) == 0 || len(k.Exponent) > 4 {
		return nil, errors.New("a number of it is out of range")
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(k.Modulus), E: int(number(k.Exponent).Int64())},
		D:         number(k.D),
		Primes:    []*big.Int{number(k.P), number(k.Q)},
	}
	if err := key.Validate(); err != nil {
		return nil, err
	}
	key.Precompute()
	return key, nil
}
