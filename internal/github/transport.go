package github

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// maxAnswer bounds an answer in bytes. A page of 100 jobs, GitHub's largest
// here, takes some hundred kilobytes.
const maxAnswer = 16 << 20

// newTransport returns base, or one of its own that trusts the certificates in ca, too, with
// answers bounded.
func newTransport(base http.RoundTripper, ca []byte) (http.RoundTripper, error) {
	if base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = urgentSlots + housekeepingSlots
		if len(ca) > 0 {
			roots, err := x509.SystemCertPool()
			if err != nil {
				return nil, fmt.Errorf("reading the system's certificates: %w", err)
			}
			if !roots.AppendCertsFromPEM(ca) {
				return nil, errors.New("GitHub's CA: no certificate in it: want PEM, from -----BEGIN CERTIFICATE----- on")
			}
			t.TLSClientConfig = &tls.Config{RootCAs: roots}
		}
		base = t
	}
	return bounded{base}, nil
}

type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

// bearer sends a token with each request.
type bearer struct {
	next  http.RoundTripper
	token secret.Secret
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(req)
}

// sameHost keeps a redirect from taking a credential elsewhere, and from turning
// a POST into a GET; the redirect itself is the answer then. GitHub redirects
// for a repository with a new name.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method {
		return http.ErrUseLastResponse
	}
	return nil
}
