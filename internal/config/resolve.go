package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Secrets are the values that the references of a Config refer to.
type Secrets struct {
	AppKey  secret.Secret   // of GitHub, PEM; zero without an App
	Token   secret.Secret   // zero with an App
	Webhook []secret.Secret // in the order of the file
	Rules   []secret.Secret // in the order of the file; zero for a rule without one
	Page    secret.Secret   // to log in to the page with; zero without one
}

// maxSecret is larger than any key, token or CA certificate.
const maxSecret = 64 << 10

// Resolve reads the secrets from variables, with lookup, such as [os.LookupEnv], and from
// files. The error is [Faults], and never contains a secret.
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

// ResolveForge is Resolve for commands that only call the forge.
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

// faults returns the faults as an error, nil if there are none: empty Faults in an error are not a nil error.
func (r *resolver) faults() error {
	if len(r.found) > 0 {
		return r.found.sorted()
	}
	return nil
}

// CA returns the certificates of ca_file and of the forge's ca_file, in PEM; nil when neither is
// in the configuration. The error is [Faults].
func (c *Config) CA() (all []byte, err error) {
	f := c.connection()
	for _, file := range []struct{ key, path string }{{f.key + ".ca_file", f.caFile}, {"ca_file", c.CAFile}} {
		if file.path == "" {
			continue
		}
		text, err := readSmall(c.Abs(file.path))
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			err = errors.New("the file has no certificate: want PEM, starting with -----BEGIN CERTIFICATE-----")
		}
		if err != nil {
			return nil, c.FaultAt(file.key, "%s %s: %v", file.key, file.path, err)
		}
		all = append(append(all, bytes.TrimSpace(text)...), '\n')
	}
	return all, nil
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
			err = errors.New("the variable is not set in mayfly's environment")
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

// readSecret reads a file, without the line end that editors add.
func readSecret(path string) (string, error) {
	content, err := readSmall(path)
	value := strings.TrimRight(string(content), "\r\n")
	if err == nil && value == "" {
		err = errors.New("the file is empty: put the secret there")
	}
	return value, err
}

// readSmall reads a regular file of at most maxSecret bytes, so that a wrong path, such as a device, cannot block or fill memory.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxSecret) {
		return nil, fmt.Errorf("want a file of at most %d bytes", maxSecret)
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(path)
	}
	if why := (*fs.PathError)(nil); errors.As(err, &why) { // callers name the path
		err = why.Err
	}
	return content, err
}

// Abs returns path as an absolute one; a relative path starts at the folder of mayfly.yaml.
func (c *Config) Abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}
