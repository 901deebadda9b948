package github_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// TestParseKey reads keys as people paste them.
func TestParseKey(t *testing.T) {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(appKey()))
	der8, err := x509.MarshalPKCS8PrivateKey(appKey())
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := block("PRIVATE KEY", der8)
	for name, text := range map[string]string{
		"as GitHub gives it": pkcs1, "PKCS #8": pkcs8, "CRLF": strings.ReplaceAll(pkcs1, "\n", "\r\n"),
		`literal \n`: strings.ReplaceAll(pkcs1, "\n", `\n`), `literal \r\n`: strings.ReplaceAll(pkcs1, "\n", `\r\n`),
		"in quotes": `"` + strings.ReplaceAll(pkcs1, "\n", `\n`) + `"`, "single quotes": "'" + pkcs8 + "'",
		"spaces around": "\n  " + pkcs1 + " \t\n", "indented": strings.ReplaceAll(pkcs1, "\n", "\n    "),
		"on one line": strings.ReplaceAll(pkcs1, "\n", " "), "without line ends": strings.ReplaceAll(pkcs8, "\n", ""),
		"base64":        base64.StdEncoding.EncodeToString([]byte(pkcs1)),
		"base64 folded": strings.Join(strings.SplitAfterN(base64.StdEncoding.EncodeToString([]byte(pkcs8)), "A", 20), "\n"),
		"BOM":           "\ufeff" + pkcs1, "words before": "the key:\n" + pkcs1,
	} {
		if key, err := github.ParseKey(secret.New(text)); err != nil || !key.Equal(appKey()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	derEC, err1 := x509.MarshalECPrivateKey(ec)
	derEC8, err2 := x509.MarshalPKCS8PrivateKey(ec)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	public := block("PUBLIC KEY", x509.MarshalPKCS1PublicKey(&appKey().PublicKey))
	cut := pkcs1[:700] + pkcs1[800:]
	for name, test := range map[string]struct{ text, want string }{
		"nothing":         {"", "no key in PEM"},
		"no key":          {"hunter2", "no key in PEM"},
		"client secret":   {strings.Repeat("0123456789", 4), "no key in PEM"},
		"fingerprint":     {"SHA256:3AoFp5+hm8w2vPn6K8l0xA", "fingerprint"},
		"OpenSSH":         {block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), "ssh-keygen -p"},
		"encrypted":       {block("ENCRYPTED PRIVATE KEY", []byte("x")), "openssl rsa"},
		"encrypted, old":  {strings.Replace(pkcs1, "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1), "openssl rsa"},
		"public":          {public, "a public key: want the private key"},
		"certificate":     {block("CERTIFICATE", []byte("x")), "a certificate: want"},
		"EC":              {block("EC PRIVATE KEY", derEC), "not an RSA key"},
		"EC in PKCS #8":   {block("PRIVATE KEY", derEC8), "not an RSA key"},
		"without its end": {pkcs1[:600], "no key in PEM"},
		"cut":             {cut, "something is missing"},
	} {
		_, err := github.ParseKey(secret.New(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil && test.text != "" && strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
}
