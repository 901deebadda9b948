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

// Headers of a request. The signature has GitHub's form, so that any receiver of GitHub's webhooks
// can verify it.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
const (
	HeaderEvent     = "X-Mayfly-Event" // the id of the event, the same for each attempt
	HeaderRule      = "X-Mayfly-Rule"
	HeaderSignature = "X-Hub-Signature-256" // sha256= and the HMAC of the body in hex; only with a secret
)

const (
	maxAnswer  = 64 << 10 // bytes of an answer to read, so that the connection can be reused
	maxExcerpt = 200      // bytes of an answer to report
)

// An HTTPConfig is an endpoint.
type HTTPConfig struct {
	Input
	URL     string
	Secret  secret.Secret // signs the body; zero for no signature
	Timeout time.Duration // of one attempt
	Client  *http.Client  // nil for a new one; redirects are never followed
}

// HTTP returns a target that POSTs events to an endpoint. 2xx acknowledges an event. 408, 429, 5xx
// and an unreachable endpoint lead to another attempt, not before the time in Retry-After. Any
// other answer is a permanent error.
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

// judge turns an answer into the result of the delivery.
func judge(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	status := resp.StatusCode
	if status/100 == 2 {
		return nil // the status counts, even if the body broke off
	}
	no := fmt.Errorf("answer %s: %.*q", resp.Status, maxExcerpt, text)
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status/100 == 5:
		return bus.RetryAfter(errors.Join(no, err), retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	case status/100 == 3:
		return bus.Permanent(fmt.Errorf("%w: redirected to %.*q: configure the final address", no, maxExcerpt, resp.Header.Get("Location")))
	}
	return bus.Permanent(no)
}

// retryAfter reads the header, which has seconds or a date. It returns zero if there is neither.
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
