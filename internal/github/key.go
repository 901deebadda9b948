package github

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// armour finds the block of a PEM text, even if its line ends are lost.
var armour = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END ([A-Z0-9 ]+)-----`)

// ParseKey reads an App's private key: RSA in PEM (PKCS #1, GitHub's form, or PKCS #8). It also accepts what variables and
// vaults make of it: \n in place of line ends, no line ends, quotes around it, or base64 over all. The error says what the
// text is instead and how to convert it, and contains nothing of the key.
func ParseKey(s secret.Secret) (*rsa.PrivateKey, error) {
	block, err := keyBlock(unwrap(s.Reveal()))
	if err != nil {
		return nil, err
	}
	key, err := rsaKey(block)
	if err != nil {
		return nil, err
	}
	if err := key.Validate(); err != nil {
		return nil, errors.New("a damaged RSA key: download a new one from the App's settings page")
	}
	return key, nil
}

// unwrap removes quotes and base64 around a PEM text.
func unwrap(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	text = strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(text)
	if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil && armour.Match(plain) {
		return string(plain)
	}
	return text
}

// keyBlock returns the PEM block of the key.
func keyBlock(text string) (*pem.Block, error) {
	m := armour.FindStringSubmatch(text)
	switch {
	case strings.HasPrefix(text, "SHA256:"):
		return nil, errors.New("the key's fingerprint: want the key itself, the file that the App's settings page offers for download when it makes a key")
	case m == nil || m[1] != m[3]:
		return nil, errors.New("no key in PEM: want the whole file downloaded from the App's settings page, starting with -----BEGIN RSA PRIVATE KEY-----")
	case m[1] == "OPENSSH PRIVATE KEY":
		return nil, errors.New("a key in OpenSSH format: want PEM; ssh-keygen -p -N '' -m PEM -f COPY converts a copy of it")
	case m[1] == "ENCRYPTED PRIVATE KEY", strings.Contains(m[2], "ENCRYPTED"):
		return nil, errors.New("an encrypted key: want one without a passphrase; openssl rsa -in FILE -out PLAIN decrypts it")
	case !strings.HasSuffix(m[1], "PRIVATE KEY"):
		return nil, fmt.Errorf("a %s: want the private key, starting with -----BEGIN RSA PRIVATE KEY-----", strings.ToLower(m[1]))
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(m[2]), ""))
	if err != nil {
		return nil, errors.New("a key of which something is missing or was changed: want all of the file that the App's settings page gives for download")
	}
	return &pem.Block{Type: m[1], Bytes: der}, nil
}

func rsaKey(block *pem.Block) (*rsa.PrivateKey, error) {
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if rsaKey, ok := key.(*rsa.PrivateKey); ok {
		return rsaKey, nil
	}
	if _, ecErr := x509.ParseECPrivateKey(block.Bytes); err == nil || ecErr == nil {
		return nil, errors.New("not an RSA key, as GitHub Apps have: download one from the App's settings page")
	}
	return nil, errors.New("a key of which something is missing or was changed: want all of the file that the App's settings page gives for download")
}
