// Package transform transforms an event for a target like Amazon EventBridge's input
// transformer: paths assign parts of the event to variables, and a template contains the
// variables.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
//
// EventBridge's surprises are the same here, because a rule must behave alike in both places:
//   - A template is JSON, so text needs quotes.
//   - Outside quotes a variable stands for a JSON value, inside quotes for its text.
//   - Text is inserted between quotes without escaping, and an object or a list without its quotes.
//   - A path without a value inserts nothing.
//
// If the result is not JSON, [Transformer.Apply] returns an error. So use only flat, harmless
// values inside quotes, and everything else outside.
//
// The package needs only the standard library and does no I/O.
package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of EventBridge.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
const (
	MaxPaths    = 100
	MaxTemplate = 8192 // bytes
)

// MaxOutput bounds the output of [Transformer.Apply], in bytes: a template can insert a whole event,
// of up to 25 MB from GitHub, hundreds of times.
const MaxOutput = 64 << 20

// Predefined variables.
const (
	ruleARN   = "aws.events.rule-arn"
	ruleName  = "aws.events.rule-name"
	ingestion = "aws.events.event.ingestion-time"
	envelope  = "aws.events.event"      // the event without its detail
	whole     = "aws.events.event.json" // all of it
)

func reserved() []string { return []string{ruleARN, ruleName, ingestion, envelope, whole} }

// A Transformer is a template with its paths. It is immutable and safe for
// concurrent use. Its zero value is not usable; see [Parse].
type Transformer struct {
	paths map[string]path
	parts []part
}

// A part is a piece of a template: text or a variable.
type part struct {
	text     string
	variable string // "" for text
	quoted   bool   // the variable is inside a JSON string
}

// Parse compiles a template and the paths of its variables by name, such as
// "$.detail.workflow_job.name".
func Parse(paths map[string]string, template string) (*Transformer, error) {
	if len(paths) > MaxPaths {
		return nil, fmt.Errorf("%d paths: want %d at most", len(paths), MaxPaths)
	}
	t := &Transformer{paths: map[string]path{}}
	for name, text := range paths {
		if !isName(name) || strings.HasPrefix(strings.ToLower(name), "aws.") {
			return nil, fmt.Errorf("variable %q: want letters, digits, dots, dashes and underscores, and not aws. before them", name)
		}
		p, err := parsePath(text)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", name, err)
		}
		t.paths[name] = p
	}
	if template == "" || len(template) > MaxTemplate {
		return nil, fmt.Errorf("template of %d bytes: want 1 to %d", len(template), MaxTemplate)
	}
	return t, t.parseTemplate(template)
}

// An Input is an event on its way to a target.
type Input struct {
	Event    []byte    // the JSON of the whole event, including the envelope
	Rule     string    // the name of the rule that sends it
	Ingested time.Time // when the bus accepted it
}

// ErrNotJSON is returned if the inserted values make the output invalid JSON.
var ErrNotJSON = errors.New("the template's output is not JSON: a value with quotes or line ends was inserted between quotes")

// ErrTooLarge is returned if the output would be larger than [MaxOutput].
var ErrTooLarge = fmt.Errorf("the template's output is larger than %d bytes: the template inserts a large event too often", MaxOutput)

// Apply returns the target's input: compact JSON.
func (t *Transformer) Apply(in Input) ([]byte, error) {
	if !json.Valid(in.Event) {
		return nil, errors.New("event: want JSON")
	}
	var event any
	decoder := json.NewDecoder(bytes.NewReader(in.Event))
	decoder.UseNumber()
	if err := decoder.Decode(&event); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	var out, compact bytes.Buffer
	for _, p := range t.parts {
		switch value, ok := t.value(p.variable, event, in); {
		case p.variable == "":
			out.WriteString(p.text)
		case p.quoted && ok:
			out.WriteString(textOf(value))
		case !p.quoted && ok:
			out.Write(jsonOf(value))
		case !p.quoted:
			out.WriteString(`""`) // AWS does not document this case; nothing at all would not be JSON
		}
		if out.Len() > MaxOutput {
			return nil, ErrTooLarge
		}
	}
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJSON, err)
	}
	return compact.Bytes(), nil
}

// value returns the value of a variable, and whether it has one.
func (t *Transformer) value(name string, event any, in Input) (any, bool) {
	switch name {
	case "":
		return nil, false
	case ruleARN:
		return "arn:aws:events:local:000000000000:rule/" + in.Rule, true
	case ruleName:
		return in.Rule, true
	case ingestion:
		return in.Ingested.UTC().Format(time.RFC3339), true
	case whole:
		return json.RawMessage(in.Event), true
	case envelope:
		return withoutDetail(event), true
	}
	return t.paths[name].find(event)
}

func withoutDetail(event any) any {
	members, _ := event.(map[string]any)
	head := make(map[string]any, len(members))
	for name, value := range members {
		if name != "detail" {
			head[name] = value
		}
	}
	return head
}

// textOf returns a value for between quotes: a string unchanged, anything else as JSON without quotes.
func textOf(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return strings.ReplaceAll(string(jsonOf(value)), `"`, "")
}

// jsonOf returns a value for outside of quotes.
func jsonOf(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // impossible: the value was decoded from JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
