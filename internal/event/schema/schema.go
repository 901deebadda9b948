// Package schema discovers what events look like, as the schema discoverer of
// Amazon EventBridge does: from each event that arrives the shape of its detail
// is inferred and merged with what is known of its type, and whenever that
// changes there is a new version.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema.html
//
// A [Registry] discovers; a [Schema] is one version of one event type, to be
// exported as OpenAPI 3, JSON Schema draft 4 or Go types, compared with another
// by [Diff], and used to check events. The package needs the standard library
// only, does no I/O and has no clock.
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

// A Schema is one version of what is known of an event type. It is not changed
// once it is published; the zero value describes nothing.
type Schema struct {
	Source     string    `json:"source"`
	DetailType string    `json:"detailType"`
	Version    int       `json:"version"` // from 1
	Since      time.Time `json:"since"`   // time of the event that made this version
	Detail     *Shape    `json:"detail"`

	// Tentative: fewer than a hundred events were seen, which show what there can be and
	// not what there must be. Until then a field that all of them had may be missing
	// or null, and a text need not have the format or be one of the values of all of them.
	// Detail, Diff and Drift say what was seen in any case.
	Tentative bool `json:"tentative,omitempty"`
}

// Name returns the name that EventBridge gives the schema, such as
// "github.com@Workflow_job" or "aws.ec2@EC2InstanceStateChangeNotification".
func (s *Schema) Name() string { return Name(s.Source, s.DetailType) }

// Name returns the name that EventBridge gives the schema of an event type: the
// source, an "@", and the words of the detail type, each begun with a capital.
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

// title joins the words of text, each begun with a capital.
func title(text string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isWord(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// envelope is what is read of an event besides its detail.
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

// decode is json.Unmarshal with numbers as they are written.
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
		detail.Types &^= Null // there is an object in any case
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
