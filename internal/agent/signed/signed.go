// Package signed is the agent's channel to a claim function on AWS: HTTP calls that
// are signed with the credentials of the container's task role, as Function URLs
// behind IAM want them. AWS tells the function whose signature it was, and the session
// name of a task role is the task's id, so that a container proves by it who it is and holds
// no secret of ours.
//
// The job beside the agent can be given that role no more than any other credential:
// its environment does not say where the keys are, and [Hide] keeps it from reading that in the agent's.
// One that finds them all the same can do what its runner has done already: claim, which is
// refused a second time, and report on itself.
//
// It needs the standard library only: the agent is in every container, and the
// whole of AWS's SDK would be too much for one call.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
package signed

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// service is what signatures for Function URLs are made for.
const service = "lambda"

// A Transport signs each request and sends it. It may be used by several goroutines
// at once.
type Transport struct {
	region string
	keys   *source
	next   http.RoundTripper
	now    func() time.Time
}

// New returns a Transport for the function at address, with the credentials that
// the container's environment leads to; lookup is such as [os.Getenv].
func New(address string, lookup func(name string) string) (*Transport, error) {
	region, err := regionOf(address, lookup("AWS_REGION"))
	if err != nil {
		return nil, err
	}
	keys, err := newSource(lookup)
	if err != nil {
		return nil, err
	}
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.Proxy = nil // what a container's environment says of proxies is meant for its job
	return &Transport{region: region, keys: keys, next: next, now: time.Now}, nil
}

// regionOf reads the region from a Function URL, ID.lambda-url.REGION.on.aws. An address
// of another form, such as one behind a name of one's own, leaves it to the
// environment. A signature is good for minutes, so it goes over TLS or stays on this machine.
func regionOf(address, environment string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf("address of the claim function %q: want a URL, such as https://ID.lambda-url.eu-west-1.on.aws/", address)
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return "", fmt.Errorf("address of the claim function %q: want https", address)
	}
	if _, rest, ok := strings.Cut(u.Hostname(), ".lambda-url."); ok {
		region, _, _ := strings.Cut(rest, ".")
		return region, nil
	}
	if environment == "" {
		return "", fmt.Errorf("address of the claim function %q names no region: want one in AWS_REGION", address)
	}
	return environment, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	keys, err := t.keys.get(r.Context(), t.now())
	if err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		body, err = io.ReadAll(r.Body)
		if r.Body.Close(); err != nil {
			return nil, err
		}
	}
	own := r.Clone(r.Context()) // a RoundTripper leaves the request as it is
	own.Body, own.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	sign(own, body, keys, t.region, service, t.now())
	return t.next.RoundTrip(own)
}

// Hide keeps environment and memory of this process, where the keys are and the way to
// them, from other processes of the same user: the kernel shows them to nobody but a
// root with every capability.
//
// https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
func Hide() error {
	const setDumpable = 4 // PR_SET_DUMPABLE
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("hiding this process: %w", errno)
	}
	return nil
}
