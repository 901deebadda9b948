package github

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// maxAnswer bounds an answer in bytes. The largest answer used here, a page of 100 jobs, has some
// hundred kilobytes.
const maxAnswer = 16 << 20

// newTransport returns base, or a new transport that also trusts the certificates in ca, with
// bounded answers.
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
				return nil, errors.New("GitHub's CA: no certificate found: want PEM, starting with -----BEGIN CERTIFICATE-----")
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

// bearer adds a token to each request.
type bearer struct {
	next  http.RoundTripper
	token secret.Secret
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(req)
}

// sameHost follows a redirect only if it cannot take the credential to another host, and does
// not turn a POST into a GET; otherwise the redirect itself is the answer. GitHub redirects
// calls for a renamed repository.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method {
		return http.ErrUseLastResponse
	}
	return nil
}
