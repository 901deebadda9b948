package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// bundles are where Linux distributions keep the certificates that they trust.
// https://go.dev/src/crypto/x509/root_linux.go
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // Alpine
}

// trusting are the variables by which programs find certificates: OpenSSL with .NET and Go, Node, git, curl, Python's
// requests, and AWS's tools.
// https://docs.openssl.org/3.0/man7/openssl-env/
// https://nodejs.org/api/cli.html#node_extra_ca_certsfile
// https://git-scm.com/docs/git-config#Documentation/git-config.txt-httpsslCAInfo
// https://curl.se/docs/sslcerts.html
// https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification
var trusting = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"}

// trust has the runner and its jobs trust the certificates in ca besides those that their container trusts. Variables that
// the container sets itself stay.
func (c *Config) trust(ca string) error {
	if ca == "" {
		return nil
	}
	given := map[string]string{}
	for _, v := range c.Env {
		name, value, _ := strings.Cut(v, "=")
		given[name] = value
	}
	file, err := writeBundle(append([]string{given["SSL_CERT_FILE"]}, bundles...), ca)
	if err != nil {
		return fmt.Errorf("%w: certificates that it is to trust: %w", errStart, err)
	}
	for _, name := range trusting {
		if given[name] == "" {
			c.Env = set(c.Env, name+"="+file)
		}
	}
	return nil
}

// writeBundle writes a file of what the first of files that there is holds, and of ca.
func writeBundle(files []string, ca string) (string, error) {
	var system []byte
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil {
			system = append(text, '\n')
			break
		}
	}
	f, err := os.CreateTemp("", "mayfly-ca-*.pem")
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(system, ca...))
	// Jobs may become other users.
	return f.Name(), errors.Join(err, f.Chmod(0o644), f.Close())
}
