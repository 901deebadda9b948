package hook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is how much of an answer is kept, in bytes.
const maxAnswer = 64 << 10

// deliver makes one attempt and returns its record.
func (s *Sender) deliver(a *attempt) *Delivery {
	d := &Delivery{
		ID: s.set.NextID(), GUID: a.guid, HookID: a.hook.ID, Event: a.event,
		Redelivery: a.redelivery, At: s.set.Now().UTC(), Body: a.body,
	}
	if d.Body == nil {
		body, err := json.Marshal(a.event.Payload)
		if err != nil {
			s.set.Log.Error("encoding a delivery", "event", a.event.Name, "err", err)
			d.Status, d.Code = "invalid payload", http.StatusInternalServerError
			return d
		}
		d.Body = body
	}
	req, err := s.request(a, d)
	if err != nil {
		d.Status, d.Code = "invalid URL", http.StatusBadGateway
		return d
	}
	d.RequestHeaders = flat(req.Header)
	if a.fate.lose || a.fate.vanish {
		d.Status, d.Code = "failed to connect to host", http.StatusBadGateway
		return d
	}
	s.post(req, d)
	s.set.Log.Debug("delivery sent", "delivery", d.GUID, "event", d.Event.Name, "status", d.Code)
	return d
}

// request builds the POST as GitHub does.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
func (s *Sender) request(a *attempt, d *Delivery) (*http.Request, error) {
	body, contentType := d.Body, "application/json"
	if a.hook.Config.ContentType == "form" {
		body, contentType = []byte(url.Values{"payload": {string(d.Body)}}.Encode()), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, a.hook.Config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range map[string]string{
		"Content-Type": contentType, "Accept": "*/*", "User-Agent": "GitHub-Hookshot/githubsim",
		"X-GitHub-Event": a.event.Name, "X-GitHub-Delivery": d.GUID,
		"X-GitHub-Hook-ID":                       strconv.FormatInt(a.hook.ID, 10),
		"X-GitHub-Hook-Installation-Target-Type": a.hook.Target.Type,
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(a.hook.Target.ID, 10),
	} {
		req.Header.Set(k, v)
	}
	if !a.hook.Config.Secret.IsZero() {
		req.Header.Set("X-Hub-Signature-256", Sign(a.hook.Config.Secret.Reveal(), body))
	}
	return req, nil
}

// Sign gives the value of X-Hub-Signature-256 for body.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends req and records the answer, or that there was none.
func (s *Sender) post(req *http.Request, d *Delivery) {
	begun := time.Now()
	resp, err := s.client.Do(req)
	d.Duration = time.Since(begun)
	if err != nil {
		d.Status, d.Code = "failed to connect to host", http.StatusBadGateway
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "Client.Timeout") {
			d.Status, d.Code = "timed out", http.StatusGatewayTimeout
		}
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		answer = append(answer, "…"...) // the status counts; the text is for people
	}
	d.Code, d.AnswerHeaders, d.Answer = resp.StatusCode, flat(resp.Header), string(answer)
	d.Status = "OK"
	if resp.StatusCode >= 400 {
		d.Status = "Invalid HTTP Response: " + strconv.Itoa(resp.StatusCode)
	}
}

// flat gives headers one value each.
func flat(h http.Header) map[string]string {
	out := map[string]string{}
	for k, v := range h {
		out[k] = strings.Join(v, ", ")
	}
	return out
}
