// Package transform makes of an event what its target wants to see, with the
// semantics of Amazon EventBridge's input transformer: variables are taken from the
// event by paths, and put into a template.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
//
// What surprises people there is the same here, because a rule is to mean one thing
// in both places: a template is JSON, so text needs quotes around it; outside quotes a
// variable stands for a JSON value, inside them for its text; a text is not escaped
// when it is put between quotes, an object or a list loses its own; and a path that
// leads nowhere leaves nothing. Where the result is no JSON any more, [Transformer.Apply]
// says so. So take flat, harmless values into quotes, and everything else outside them.
//
// The package needs the standard library only and does no I/O.
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

// MaxOutput bounds what [Transformer.Apply] makes, in bytes: a template can name a whole event of
// 25 MB, GitHub's largest, hundreds of times.
const MaxOutput = 64 << 20

// The variables that are always there.
const (
	ruleARN   = "aws.events.rule-arn"
	ruleName  = "aws.events.rule-name"
	ingestion = "aws.events.event.ingestion-time"
	envelope  = "aws.events.event"      // the event without its detail
	whole     = "aws.events.event.json" // all of it
)

func reserved() []string { return []string{ruleARN, ruleName, ingestion, envelope, whole} }

// A Transformer is a template with its paths. It is immutable and safe for
// concurrent use. Its zero value is of no use; see [Parse].
type Transformer struct {
	paths map[string]path
	parts []part
}

// A part is a piece of a template: text, or what a variable stands for.
type part struct {
	text     string
	variable string // "" for text
	quoted   bool   // the variable is inside a JSON string
}

// Parse compiles a template and the paths of its variables by name, such as
// "$.detail.workflow_job.name". The error says what is wrong and what was expected.
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
	Event    []byte    // the JSON of the whole event, envelope and all
	Rule     string    // the name of the rule that sends it
	Ingested time.Time // when the bus took it
}

// ErrNotJSON is returned when values have made the output something else than JSON.
var ErrNotJSON = errors.New("what the template gives is not JSON: a value with quotes or line ends was put between quotes")

// ErrTooLarge is returned when the output would be larger than [MaxOutput].
var ErrTooLarge = fmt.Errorf("what the template gives is larger than %d bytes: the event is large, and it names it often", MaxOutput)

// Apply returns what the target is to get: JSON, without spaces.
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
			out.WriteString(`""`) // AWS does not say; anything else could not be read
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

// value returns what a variable stands for, and whether there is anything.
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

// textOf is a value between quotes: a text as it is, anything else as JSON that has
// lost its quotes.
func textOf(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return strings.ReplaceAll(string(jsonOf(value)), `"`, "")
}

// jsonOf is a value outside quotes.
func jsonOf(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // it came from JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
