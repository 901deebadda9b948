// Package schema discovers the schemas of events, like the schema discoverer of
// Amazon EventBridge: it infers the shape of each event's detail and merges it
// with the known shape of its type. Whenever that changes, there is a new
// version.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema.html
//
// A [Registry] discovers schemas. A [Schema] is one version of an event type's
// schema. It can be exported as OpenAPI 3, JSON Schema draft 4 or Go types,
// compared with another by [Diff], and used to check events. The package needs
// only the standard library, does no I/O and has no clock.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Schema is one version of the schema of an event type. It does not change once it is
// published. The zero value describes nothing.
type Schema struct {
	Source     string    `json:"source"`
	DetailType string    `json:"detailType"`
	Version    int       `json:"version"` // from 1
	Since      time.Time `json:"since"`   // time of the event that made this version
	Detail     *Shape    `json:"detail"`

	// Tentative means that fewer than a hundred events were seen. These show what is possible,
	// but not what is required. So a field that all of them had may still be missing or null,
	// and a string need not have their format or one of their values. Detail, Diff and Drift
	// tell what was seen in either case.
	Tentative bool `json:"tentative,omitempty"`
}

// Name returns the name that EventBridge gives the schema, such as
// "github.com@Workflow_job" or "aws.ec2@EC2InstanceStateChangeNotification".
func (s *Schema) Name() string { return Name(s.Source, s.DetailType) }

// Name returns EventBridge's name for the schema of an event type: the source, an "@", and the
// capitalized words of the detail type.
func Name(source, detailType string) string {
	source = strings.Map(func(r rune) rune {
		if isWord(r) || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, source)
	return source + "@" + title(detailType)
}

func isWord(r rune) bool {
	return r == '_' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// title joins the words of text, each capitalized.
func title(text string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isWord(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// envelope has the fields that are read of an event.
type envelope struct {
	Source     string    `json:"source"`
	DetailType string    `json:"detail-type"`
	Time       time.Time `json:"time"`
	Detail     any       `json:"detail"`
}

func readEnvelope(event []byte) (envelope, error) {
	var e envelope
	if err := decode(event, &e); err != nil {
		return e, fmt.Errorf("event: %w", err)
	}
	if e.Source == "" || e.DetailType == "" || e.Detail == nil {
		return e, errors.New("event: source, detail-type or detail is missing")
	}
	return e, nil
}

// decode is json.Unmarshal, but keeps numbers as they are written.
func decode(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the end of the JSON value")
	}
	return nil
}

// event returns the shape of the whole event: EventBridge's envelope around s.
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
func (s *Schema) event() *Shape {
	text := func(t Text) *Field { return &Field{Shape: Shape{Types: String, Text: &t}} }
	detail := s.Detail
	if detail == nil {
		detail = &Shape{Types: Any}
	} else if s.Tentative {
		detail = detail.loose()
		detail.Types &^= Null // an event always has a detail
	}
	return &Shape{Types: Object, Fields: map[string]*Field{
		"version": text(Text{}), "id": text(Text{}), "account": text(Text{}), "region": text(Text{}),
		"source":      text(Text{Seen: enoughSeen, Values: []string{s.Source}}),
		"detail-type": text(Text{Seen: enoughSeen, Values: []string{s.DetailType}}),
		"time":        text(Text{DateTime: true}),
		"resources":   {Shape: Shape{Types: Array, Items: &Shape{Types: String}}},
		"detail":      {Shape: *detail},
	}}
}
