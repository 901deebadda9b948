package minirunner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// architecture is what a runner calls its processor; the others are not built.
const architecture = "X64"

// pollLimit is for one long poll; the broker answers within 50 s or so.
const pollLimit = 80 * time.Second

// What a runner says of itself while it polls.
const (
	statusOnline = "Online"
	statusBusy   = "Busy"
)

// A message is what the broker has for a runner.
type message struct {
	MessageID   int64  `json:"messageId"`
	MessageType string `json:"messageType"`
	Body        string `json:"body"` // JSON, by type
}

// The types of message that are acted on.
const (
	jobRequest      = "RunnerJobRequest"
	jobCancellation = "JobCancellation"
)

// A jobReference is the body of a RunnerJobRequest.
type jobReference struct {
	RequestID         string `json:"runner_request_id"`
	RunServiceURL     string `json:"run_service_url"`
	BillingOwnerID    string `json:"billing_owner_id"`
	ShouldAcknowledge bool   `json:"should_acknowledge"`
}

// A broker is a session with GitHub's broker.
type broker struct {
	caller  *caller
	base    string
	version string // that the runner says it is
	session string
}

// tooOld reports whether err is GitHub's word that it has no messages for so old a runner.
func tooOld(err error) bool {
	var e *StatusError
	return errors.As(err, &e) && e.Status == http.StatusForbidden && strings.Contains(e.Body, "RunnerVersionTooOld")
}

// connect opens a session. 409 means that the runner has one elsewhere.
func connect(ctx context.Context, c *caller, id Identity, version string) (*broker, error) {
	b := &broker{caller: c, base: id.Broker, version: version}
	var made struct {
		SessionID string `json:"sessionId"`
	}
	err := persist(ctx, func() error {
		return c.post(ctx, b.base+"/session", map[string]any{
			"ownerName": id.Name,
			"agent": map[string]any{
				"id": id.ID, "name": id.Name, "version": version, "osDescription": "Linux", "ephemeral": id.Ephemeral, "status": 0,
			},
			"useFipsEncryption": true,
		}, &made)
	})
	if err != nil {
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	b.session = made.SessionID
	return b, nil
}

// next makes one long poll; nil means that there is no message.
func (b *broker) next(ctx context.Context, status string) (*message, error) {
	poll, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	query := url.Values{
		"sessionId": {b.session}, "status": {status}, "runnerVersion": {b.version},
		"os": {"Linux"}, "architecture": {architecture}, "disableUpdate": {"true"},
	}
	var m message
	err := b.caller.call(poll, http.MethodGet, b.base+"/message?"+query.Encode(), nil, &m)
	if poll.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil || m.MessageType == "" {
		return nil, err
	}
	return &m, nil
}

func (b *broker) acknowledge(ctx context.Context, ref jobReference) error {
	query := url.Values{
		"sessionId": {b.session}, "status": {statusBusy}, "runnerVersion": {b.version}, "os": {"Linux"}, "architecture": {architecture},
	}
	return persist(ctx, func() error {
		return b.caller.post(ctx, b.base+"/acknowledge?"+query.Encode(), map[string]string{"runnerRequestId": ref.RequestID}, nil)
	})
}

// close ends the session. GitHub may have ended it before, with the runner.
func (b *broker) close(ctx context.Context) error {
	err := b.caller.call(ctx, http.MethodDelete, b.base+"/session?sessionId="+url.QueryEscape(b.session), nil, nil)
	if status := statusOf(err); status == http.StatusUnauthorized || status == http.StatusNotFound {
		return nil
	}
	return err
}

// acquire takes the job of ref: after it, no other runner can have it.
func acquire(ctx context.Context, c *caller, ref jobReference) (*jobMessage, error) {
	var m jobMessage
	err := persist(ctx, func() error {
		return c.post(ctx, ref.RunServiceURL+"/acquirejob", map[string]string{
			"jobMessageId": ref.RequestID, "runnerOS": "Linux", "billingOwnerId": ref.BillingOwnerID,
		}, &m)
	})
	if err != nil {
		return nil, fmt.Errorf("acquiring job %s: %w", ref.RequestID, err)
	}
	return &m, nil
}

// reference reads the body of a RunnerJobRequest.
func (m *message) reference() (jobReference, error) {
	var ref jobReference
	if err := json.Unmarshal([]byte(m.Body), &ref); err != nil {
		return ref, fmt.Errorf("reading message %d: %w", m.MessageID, err)
	}
	return ref, nil
}

// newID is a random UUID, as steps have.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
