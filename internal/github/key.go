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

// armour finds the one block of a PEM text, whatever has become of its lines.
var armour = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END ([A-Z0-9 ]+)-----`)

// ParseKey reads an App's private key: RSA in PEM (PKCS #1, as GitHub gives it, or PKCS #8), also as it comes out of
// variables and vaults: with \n for line ends or none at all, in quotes, or in base64 as a whole. Its error says what the
// text is instead and how to make the key of it, and nothing of the key.
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
		return nil, errors.New("an RSA key that is damaged: download it again from the App's settings page")
	}
	return key, nil
}

// unwrap takes off what is around a PEM text.
func unwrap(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	text = strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(text)
	if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil && armour.Match(plain) {
		return string(plain)
	}
	return text
}

// keyBlock takes the key out of its PEM.
func keyBlock(text string) (*pem.Block, error) {
	m := armour.FindStringSubmatch(text)
	switch {
	case strings.HasPrefix(text, "SHA256:"):
		return nil, errors.New("the key's fingerprint: want the key itself, which the App's settings page gives for download once")
	case m == nil || m[1] != m[3]:
		return nil, errors.New("no key in PEM: want all of the file that the App's settings page gives for download, from -----BEGIN RSA PRIVATE KEY----- on")
	case m[1] == "OPENSSH PRIVATE KEY":
		return nil, errors.New("a key in OpenSSH's form: want PEM; ssh-keygen -p -N '' -m PEM -f FILE turns a copy of it into that")
	case m[1] == "ENCRYPTED PRIVATE KEY", strings.Contains(m[2], "ENCRYPTED"):
		return nil, errors.New("a key that is encrypted: want one without a passphrase; openssl rsa -in FILE -out PLAIN makes it")
	case !strings.HasSuffix(m[1], "PRIVATE KEY"):
		return nil, fmt.Errorf("a %s: want the private key, from -----BEGIN RSA PRIVATE KEY----- on", strings.ToLower(m[1]))
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
		return nil, errors.New("a key of another kind than RSA: GitHub Apps have RSA keys; download one from the App's settings page")
	}
	return nil, errors.New("a key of which something is missing or was changed: want all of the file that the App's settings page gives for download")
}
