// Package jit makes what a runner needs to know to take jobs: the three files
// that an encoded JIT configuration holds, and the RSA key among them.
package jit

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strconv"
	"sync"
)

// A Config is what a JIT configuration tells its runner.
type Config struct {
	RunnerID   int64
	Name       string
	Group      string
	GroupID    int64
	WorkFolder string
	ClientID   string // who it is at AuthURL
	GitHubURL  string // page of the repository, organisation or enterprise
	ServerURL  string // of the first protocol, which hands over to the broker
	BrokerURL  string // ends in a slash
	AuthURL    string // takes client assertions
	Key        *rsa.PrivateKey
}

// Encode gives the configuration as GitHub's API does: base64 of a JSON object of
// base64 files. The names and spellings are those of actions/runner's own files.
// https://github.com/actions/runner/blob/main/src/Runner.Common/ConfigurationStore.cs
func (c Config) Encode() string {
	files := map[string]any{
		".runner": map[string]string{
			"AgentId": strconv.FormatInt(c.RunnerID, 10), "AgentName": c.Name,
			"DisableUpdate": "True", "Ephemeral": "True",
			"PoolId": strconv.FormatInt(c.GroupID, 10), "PoolName": c.Group,
			"ServerUrl": c.ServerURL, "ServerUrlV2": c.BrokerURL, "UseV2Flow": "True",
			"GitHubUrl": c.GitHubURL, "WorkFolder": c.WorkFolder,
		},
		".credentials": map[string]any{"Scheme": "OAuth", "Data": map[string]string{
			"ClientId": c.ClientID, "AuthorizationUrl": c.AuthURL, "RequireFipsCryptography": "True",
		}},
		".credentials_rsaparams": parameters(c.Key),
	}
	encoded := map[string][]byte{}
	for name, v := range files {
		encoded[name] = mustJSON(v)
	}
	return base64.StdEncoding.EncodeToString(mustJSON(encoded))
}

// parameters gives a key as .NET's RSAParameters, big-endian numbers in base64.
func parameters(k *rsa.PrivateKey) map[string][]byte {
	return map[string][]byte{
		"modulus": k.N.Bytes(), "exponent": big.NewInt(int64(k.E)).Bytes(), "d": k.D.Bytes(),
		"p": k.Primes[0].Bytes(), "q": k.Primes[1].Bytes(),
		"dp": k.Precomputed.Dp.Bytes(), "dq": k.Precomputed.Dq.Bytes(), "inverseQ": k.Precomputed.Qinv.Bytes(),
	}
}

// mustJSON encodes what cannot fail to: strings and bytes in maps.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// ringSize is how many keys a Ring makes.
const ringSize = 4

// A Ring hands out RSA keys of 2048 bits, and the same few again and again: a
// key takes a processor 100 ms and more, which would be most of the time of a
// simulation of 1,000 runners. GitHub gives every runner a key of its own; here
// two runners may have one, and are told apart by their client id. A Ring may be
// used by several goroutines at once.
type Ring struct {
	first chan struct{} // closed when there is a key, or none to be had
	mu    sync.Mutex
	keys  []*rsa.PrivateKey // mu
	err   error             // mu; of making a key
	next  int               // mu
}

// NewRing returns a Ring, whose keys are made from now on in the background.
func NewRing() *Ring {
	r := &Ring{first: make(chan struct{})}
	go r.fill()
	return r
}

func (r *Ring) fill() {
	for i := range ringSize {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		r.mu.Lock()
		if err != nil {
			r.err = err
		} else {
			r.keys = append(r.keys, k)
		}
		r.mu.Unlock()
		if i == 0 {
			close(r.first)
		}
	}
}

// Key returns a key, and waits for the first.
func (r *Ring) Key() (*rsa.PrivateKey, error) {
	<-r.first
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		return nil, r.err
	}
	r.next++
	return r.keys[r.next%len(r.keys)], nil
}
