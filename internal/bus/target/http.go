package target

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Headers of a request. The signature is GitHub's, so that whatever checks a webhook
// of GitHub can check this, too.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
const (
	HeaderEvent     = "X-Mayfly-Event" // the id of the event, the same for each attempt
	HeaderRule      = "X-Mayfly-Rule"
	HeaderSignature = "X-Hub-Signature-256" // sha256= and the HMAC of the body in hex; not there without a secret
)

const (
	maxAnswer  = 64 << 10 // bytes of an answer that are read, so that its connection is used again
	maxExcerpt = 200      // bytes of an answer that are told
)

// An HTTPConfig is an endpoint.
type HTTPConfig struct {
	Input
	URL     string
	Secret  secret.Secret // signs the body; zero for no signature
	Timeout time.Duration // of one attempt
	Client  *http.Client  // default one of its own; redirects are not followed in any case
}

// HTTP returns a target that POSTs events to an endpoint. 2xx means that it has the
// event. 408, 429 and 5xx are tried again, after the time that Retry-After says or
// later; so is an endpoint that cannot be reached. Everything else is permanent.
func HTTP(c HTTPConfig) bus.Target {
	client := &http.Client{}
	if c.Client != nil {
		*client = *c.Client
	}
	client.Timeout = c.Timeout
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return withPayload(c.Input, func(ctx context.Context, e event.Event, payload []byte) error {
		r, err := c.request(ctx, e, payload)
		if err != nil {
			return bus.Permanent(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return judge(resp)
	})
}

func (c HTTPConfig) request(ctx context.Context, e event.Event, payload []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "mayfly")
	r.Header.Set(HeaderEvent, e.ID)
	r.Header.Set(HeaderRule, c.Rule)
	if !c.Secret.IsZero() {
		mac := hmac.New(sha256.New, []byte(c.Secret.Reveal()))
		mac.Write(payload)
		r.Header.Set(HeaderSignature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	return r, nil
}

// judge says what an answer means.
func judge(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	status := resp.StatusCode
	if status/100 == 2 {
		return nil // the status was the answer, even if its body broke off
	}
	no := fmt.Errorf("answer %s: %.*q", resp.Status, maxExcerpt, text)
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status/100 == 5:
		return bus.RetryAfter(errors.Join(no, err), retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	case status/100 == 3:
		return bus.Permanent(fmt.Errorf("%w: redirected to %.*q: want the final address", no, maxExcerpt, resp.Header.Get("Location")))
	}
	return bus.Permanent(no)
}

// retryAfter reads the header: seconds, or a date. Zero when it says nothing.
// https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, bus.MaxPutOff)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), bus.MaxPutOff)
}
