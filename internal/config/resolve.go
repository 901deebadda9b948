package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Secrets are what the references of a Config stand for.
type Secrets struct {
	AppKey  secret.Secret   // of GitHub, PEM; zero without an App
	Token   secret.Secret   // zero with an App
	Webhook []secret.Secret // in the order of the file
	Rules   []secret.Secret // in the order of the file; zero for a rule without one
	Page    secret.Secret   // to log in to the page with; zero without one
}

// maxSecret is more than any key or token has, or the certificates of a CA.
const maxSecret = 64 << 10

// Resolve gets the secrets: from variables, with lookup, such as [os.LookupEnv],
// and from files. The error is [Faults], and says nothing of what a secret is.
func (c *Config) Resolve(lookup func(name string) (string, bool)) (Secrets, error) {
	r := resolver{config: c, lookup: lookup, found: Faults{}}
	s := r.forge()
	for i, ref := range c.Webhook.Secrets {
		s.Webhook = append(s.Webhook, r.get(fmt.Sprintf("webhook.secrets[%d]", i), ref))
	}
	for i, rule := range c.Rules {
		s.Rules = append(s.Rules, r.get(fmt.Sprintf("rules[%d].secret", i), rule.Secret))
	}
	s.Page = secret.New(r.pageToken())
	return s, r.faults()
}

// ResolvePage gets the page's token alone.
func (c *Config) ResolvePage(lookup func(name string) (string, bool)) (secret.Secret, error) {
	r := resolver{config: c, lookup: lookup, found: Faults{}}
	token := secret.New(r.pageToken())
	return token, r.faults()
}

// ResolveForge is Resolve for who only calls the forge.
func (c *Config) ResolveForge(lookup func(name string) (string, bool)) (Secrets, error) {
	r := resolver{config: c, lookup: lookup, found: Faults{}}
	s := r.forge()
	return s, r.faults()
}

func (r *resolver) forge() Secrets {
	f := r.config.connection()
	return Secrets{
		AppKey: r.get("github.app.private_key", r.config.GitHub.App.PrivateKey),
		Token:  secret.New(strings.TrimSpace(r.get(f.key+".token", f.token).Reveal())), // no token has spaces around it
	}
}

// faults gives what was found as an error, nil when nothing was.
func (r *resolver) faults() error {
	if len(r.found) > 0 {
		return r.found.sorted()
	}
	return nil
}

// CA returns the certificates of the forge's ca_file, in PEM; nil when there is no such file
// in the configuration. The error is [Faults].
func (c *Config) CA() ([]byte, error) {
	f := c.connection()
	if f.caFile == "" {
		return nil, nil
	}
	text, err := readSmall(c.Abs(f.caFile))
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
		err = errors.New("no certificate in it: want PEM, from -----BEGIN CERTIFICATE----- on")
	}
	if err != nil {
		return nil, c.FaultAt(f.key+".ca_file", "%s.ca_file %s: %v", f.key, f.caFile, err)
	}
	return text, nil
}

type resolver struct {
	config *Config
	lookup func(string) (string, bool)
	found  Faults
}

func (r *resolver) get(path string, ref SecretRef) secret.Secret {
	kind, what, _ := strings.Cut(string(ref), ":")
	var value string
	var err error
	switch kind {
	case "env":
		value, _ = r.lookup(what)
		if value == "" {
			err = errors.New("the variable is not set: want it in mayfly's environment")
		}
	case "file":
		value, err = readSecret(r.config.Abs(what))
	default:
		return secret.Secret{}
	}
	if err != nil {
		r.found = append(r.found, r.config.FaultAt(path, "%s %s: %v", path, ref, err)...)
	}
	return secret.New(value)
}

// readSecret reads a file without the line end that editors put there.
func readSecret(path string) (string, error) {
	content, err := readSmall(path)
	value := strings.TrimRight(string(content), "\r\n")
	if err == nil && value == "" {
		err = errors.New("the file is empty: want the secret in it")
	}
	return value, err
}

// readSmall reads a file that is no larger than what mayfly.yaml may refer to.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxSecret) {
		return nil, fmt.Errorf("want a file of at most %d bytes", maxSecret)
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(path)
	}
	if why := (*fs.PathError)(nil); errors.As(err, &why) { // the path is said already
		err = why.Err
	}
	return content, err
}

// Abs returns path, taken from the folder of the file that c was read from unless
// it is absolute.
func (c *Config) Abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}
