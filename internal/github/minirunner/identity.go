package minirunner

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An Identity is a registered runner as its configuration describes it.
type Identity struct {
	ID        int64
	Name      string
	PoolID    int64
	Ephemeral bool
	GitHubURL string          // of the repository, organisation or enterprise
	Server    string          // of the first protocol; the runner asks it where things are
	Broker    string          // of the broker; what follows its last slash does not count
	TokenURL  string          // where access tokens are given
	ClientID  string          // who asks for them
	Key       *rsa.PrivateKey // proves it

	NoUpdate   bool   // it says that it does not update itself
	WorkFolder string // relative to the runner's folder

	files map[string][]byte // the configuration as it is kept in the runner's folder
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
		ServerURL   string `json:"ServerUrl"`
		ServerURLV2 string `json:"ServerUrlV2"`
		UseV2Flow   text   `json:"UseV2Flow"`
		NoUpdate    text   `json:"DisableUpdate"`
		WorkFolder  string `json:"WorkFolder"`
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
		DP       []byte `json:"dp"`
		DQ       []byte `json:"dq"`
		InverseQ []byte `json:"inverseQ"`
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
	id, err := parseFiles(files)
	if err != nil {
		return Identity{}, fmt.Errorf("%w, in the JIT configuration", err)
	}
	return id, nil
}

// configFiles are the files of a configuration. Each is a JSON object.
var configFiles = [...]string{".runner", ".credentials", ".credentials_rsaparams"}

// Load reads the configuration in root, the folder of a runner that was
// configured before.
func Load(root string) (Identity, error) {
	files := map[string][]byte{}
	for _, name := range configFiles {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return Identity{}, err
		}
		files[name] = b
	}
	id, err := parseFiles(files)
	if err != nil {
		return Identity{}, fmt.Errorf("%w, in %s", err, root)
	}
	return id, nil
}

// parseFiles reads the files of a configuration.
func parseFiles(files map[string][]byte) (Identity, error) {
	var (
		runner runnerFile
		creds  credentialsFile
		key    keyFile
	)
	for i, into := range []any{&runner, &creds, &key} {
		name := configFiles[i]
		if err := json.Unmarshal(bytes.TrimPrefix(files[name], []byte("\ufeff")), into); err != nil {
			return Identity{}, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	id, err := identity(runner, creds, key)
	id.files = files
	return id, err
}

// identity checks and joins what the files say.
func identity(r runnerFile, c credentialsFile, k keyFile) (Identity, error) {
	id, err := strconv.ParseInt(string(r.AgentID), 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("AgentId %q: want a number", r.AgentID)
	}
	pool, err := strconv.ParseInt(string(r.PoolID), 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("PoolId %q: want a number", r.PoolID)
	}
	if !isTrue(r.UseV2Flow) {
		return Identity{}, fmt.Errorf("UseV2Flow %q: want True: the mini runner knows the broker's protocol only", r.UseV2Flow)
	}
	for what, address := range map[string]string{
		"ServerUrl": r.ServerURL, "ServerUrlV2": r.ServerURLV2, "GitHubUrl": r.GitHubURL, "AuthorizationUrl": c.Data.AuthorizationURL,
	} {
		if u, err := url.Parse(address); err != nil || u.Host == "" {
			return Identity{}, fmt.Errorf("%s %q: want a URL", what, address)
		}
	}
	if c.Scheme != "OAuth" || c.Data.ClientID == "" || r.AgentName == "" {
		return Identity{}, fmt.Errorf("credentials of scheme %q for client %q of runner %q: want OAuth, an id and a name", c.Scheme, c.Data.ClientID, r.AgentName)
	}
	key, err := k.privateKey()
	if err != nil {
		return Identity{}, fmt.Errorf("key: %w", err)
	}
	return Identity{
		ID: id, Name: r.AgentName, PoolID: pool, Ephemeral: isTrue(r.Ephemeral),
		GitHubURL: r.GitHubURL, Server: r.ServerURL, Broker: r.ServerURLV2,
		TokenURL: c.Data.AuthorizationURL, ClientID: c.Data.ClientID, Key: key,
		NoUpdate: isTrue(r.NoUpdate), WorkFolder: r.WorkFolder,
	}, nil
}

func isTrue(t text) bool { return strings.EqualFold(string(t), "true") }

func (k keyFile) privateKey() (*rsa.PrivateKey, error) {
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	const most = 512 // bytes: 4096 bits; checking a hostile number must not take long
	if max(len(k.Modulus), len(k.D), len(k.P), len(k.Q)) > most || len(k.Exponent) == 0 || len(k.Exponent) > 4 {
		return nil, errors.New("a number of it is out of range")
	}
	if len(k.DP) == 0 || len(k.DQ) == 0 || len(k.InverseQ) == 0 {
		return nil, errors.New("want dp, dq and inverseQ, without which .NET does not take it")
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

// parameters returns the stored form of a key.
func parameters(k *rsa.PrivateKey) keyFile {
	return keyFile{
		Modulus: k.N.Bytes(), Exponent: big.NewInt(int64(k.E)).Bytes(), D: k.D.Bytes(),
		P: k.Primes[0].Bytes(), Q: k.Primes[1].Bytes(),
		DP: k.Precomputed.Dp.Bytes(), DQ: k.Precomputed.Dq.Bytes(), InverseQ: k.Precomputed.Qinv.Bytes(),
	}
}

// assertionLife is how long a client assertion is good for.
const assertionLife = 5 * time.Minute

// assertion is a JWT that identifies the runner, signed with RS256 (RFC 7523).
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
