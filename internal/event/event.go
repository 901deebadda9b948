// Package event is the noun that flows through Mayfly: an [Event] in the envelope of Amazon
// EventBridge, so that the same rules and targets work on one machine and on AWS.
//
// It also defines the payload that decides everything, GitHub's workflow_job ([WorkflowJob]). The
// package has no dependencies and does no I/O.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Sources and detail types of Mayfly's events. Events from GitHub have the source [SourceGitHub]
// and the detail type that GitHub sends in X-GitHub-Event, such as "workflow_job".
const (
	SourceGitHub = "github.com"
	SourceMayfly = "mayfly"

	TypeWorkflowJob    = "workflow_job"
	TypeRunnerWanted   = "Runner Wanted"
	TypeRunnerUnwanted = "Runner Unwanted"
	TypeJobUncertain   = "Job Uncertain"
	TypeImageAlarm     = "Image Alarm"
	TypeImagePromoted  = "Image Promoted"
)

// An Event is what the bus carries. Its JSON form is EventBridge's envelope:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
type Event struct {
	ID         string          // unique; for a delivery from GitHub its X-GitHub-Delivery GUID
	Source     string          // the sender, such as SourceGitHub
	DetailType string          // the kind of event, such as TypeWorkflowJob
	Time       time.Time       // when it was sent; UTC, to the millisecond
	Resources  []string        // what it concerns, such as "acme/web"; may be empty
	Detail     json.RawMessage // a JSON object

	// ReplayName is the name of the replay that repeats the event; "" the first time. Rules that
	// must not act twice require events without one. It is not stored.
	ReplayName string
}

// Say returns an event from Mayfly itself, sent at now, with about, encoded as a JSON object, as its
// detail. The caller sets the ID, unless the bus does.
func Say(detailType string, about any, now time.Time) (Event, error) {
	detail, err := json.Marshal(about)
	if err != nil {
		return Event{}, fmt.Errorf("event %q: %w", detailType, err)
	}
	return Event{Source: SourceMayfly, DetailType: detailType, Time: now.UTC(), Detail: detail}, nil
}

// envelope is the wire form of an Event. It has version, account and region because rules and
// consumers written for EventBridge expect them. Detail is last, see [Event.AppendEnvelope].
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	ReplayName string          `json:"replay-name,omitempty"`
	Detail     json.RawMessage `json:"detail,omitempty"`
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON returns the EventBridge envelope, with account "000000000000" and region "local".
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendEnvelope(nil) }

// AppendEnvelope appends the JSON form of e to b, with Detail unchanged. json.Marshal would check
// and compact Detail, which takes 100 times as long; here the caller guarantees that Detail is a
// JSON object.
func (e Event) AppendEnvelope(b []byte) ([]byte, error) {
	resources := e.Resources
	if resources == nil {
		resources = []string{}
	}
	head, err := json.Marshal(envelope{
		Version: "0", ID: e.ID, DetailType: e.DetailType, Source: e.Source,
		Account: "000000000000", Region: "local",
		Time: e.Time.UTC().Format(timeFormat), Resources: resources, ReplayName: e.ReplayName,
	})
	if err != nil {
		return b, err
	}
	detail := e.Detail
	if len(detail) == 0 {
		detail = json.RawMessage("null")
	}
	b = slices.Grow(b, len(head)+len(detail)+len(`,"detail":`))
	b = append(append(b, head[:len(head)-1]...), `,"detail":`...)
	return append(append(b, detail...), '}'), nil
}

// UnmarshalJSON parses an EventBridge envelope. Account and region are dropped.
func (e *Event) UnmarshalJSON(data []byte) error {
	var w envelope
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, w.Time)
	if err != nil {
		return fmt.Errorf("event %q: time %q: want RFC 3339, such as 2026-01-31T12:00:00Z", w.ID, w.Time)
	}
	*e = Event{
		ID: w.ID, Source: w.Source, DetailType: w.DetailType, Time: at.UTC(),
		Resources: w.Resources, Detail: w.Detail, ReplayName: w.ReplayName,
	}
	return e.Validate()
}

// Validate returns the first fault that keeps e from being put on a bus.
func (e Event) Validate() error {
	switch {
	case e.ID == "":
		return errors.New("event without an id")
	case e.Source == "":
		return fmt.Errorf("event %q: source is empty", e.ID)
	case e.DetailType == "":
		return fmt.Errorf("event %q: detail-type is empty", e.ID)
	}
	if detail := bytes.TrimSpace(e.Detail); len(detail) == 0 || detail[0] != '{' {
		return fmt.Errorf("event %q: detail: want a JSON object", e.ID)
	}
	return nil
}

// A Routing is the object that Mayfly adds to GitHub's payload, as the member "mayfly" of an
// event's detail: flat strings without secrets, so that an EventBridge input transformer can pass
// them on and any rule may see them.
type Routing struct {
	Pool     string `json:"pool"`     // the job's pool; "" if it fits none
	Labels   string `json:"labels"`   // the job's labels, joined by FlatLabels
	Delivery string `json:"delivery"` // GUID of the delivery
	Job      string `json:"job"`      // the job's key, from [WorkflowJob.Key]
}

// WithRouting returns payload, a JSON object, with r as its member "mayfly". The rest of the object
// stays unchanged. Payloads are signed by GitHub; if one had a member "mayfly", ours would follow
// it, and the last one of a name counts.
func WithRouting(payload json.RawMessage, r Routing) (json.RawMessage, error) {
	const space = " \t\r\n"
	body := bytes.Trim(payload, space)
	if len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
		return nil, errors.New("payload: want a JSON object")
	}
	body = bytes.TrimRight(body[:len(body)-1], space)
	member, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(body) + len(member) + 12)
	b.Write(body)
	if body[len(body)-1] != '{' {
		b.WriteByte(',')
	}
	b.WriteString(`"mayfly":`)
	b.Write(member)
	b.WriteByte('}')
	return b.Bytes(), nil
}
