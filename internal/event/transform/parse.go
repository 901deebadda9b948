package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A path selects a value of an event, starting at its root.
type path []step

// A step is a member by name, an element by number, or all elements.
type step struct {
	name  string
	index int  // of an element, if name is ""
	all   bool // all elements
}

// parsePath reads the part of JSONPath that EventBridge supports: $.a.b, $.a[0], $.a[*].
func parsePath(text string) (path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("path %q: want one that begins with $, such as $.detail.action", text)
	}
	var p path
	for rest != "" {
		var s step
		if s, rest, ok = nextStep(rest); !ok {
			return nil, fmt.Errorf("path %q: at %q: want .name, [number] or [*]", text, rest)
		}
		p = append(p, s)
	}
	return p, nil
}

// nextStep parses the first step of rest, and returns the remainder and whether there was one.
func nextStep(rest string) (s step, left string, ok bool) {
	if inside, found := strings.CutPrefix(rest, "["); found {
		inside, left, ok = strings.Cut(inside, "]")
		if inside == "*" {
			return step{all: true}, left, ok
		}
		n, err := strconv.ParseUint(inside, 10, 31)
		if !ok || err != nil {
			return step{}, rest, false
		}
		return step{index: int(n)}, left, true
	}
	name, found := strings.CutPrefix(rest, ".")
	if end := strings.IndexAny(name, ".["); end >= 0 {
		name, left = name[:end], name[end:]
	}
	if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("_-/", r) }) {
		return step{}, rest, false
	}
	return step{name: name}, left, true
}

// find returns the value at p, and whether it exists.
func (p path) find(value any) (any, bool) {
	for _, s := range p {
		members, isObject := value.(map[string]any)
		elements, isList := value.([]any)
		switch {
		case s.name != "" && isObject:
			value, isObject = members[s.name]
			if !isObject {
				return nil, false
			}
		case s.all && isList:
		case s.name == "" && !s.all && s.index < len(elements):
			value = elements[s.index]
		default:
			return nil, false
		}
	}
	return value, true
}

func isWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("._-", r) })
}

// parseTemplate splits a template into parts, and checks that it is JSON if variables outside quotes
// are numbers and variables inside quotes are text.
func (t *Transformer) parseTemplate(template string) error {
	var sample strings.Builder
	quoted, from := false, 0
	for i := 0; i < len(template); i++ {
		switch c := template[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '<':
			name, _, ok := strings.Cut(template[i+1:], ">")
			if err := t.checkVariable(name, ok); err != nil {
				return err
			}
			t.parts = append(t.parts, part{text: template[from:i]}, part{variable: name, quoted: quoted})
			sample.WriteString(template[from:i] + "0")
			i += len(name) + 1
			from = i + 1
		}
	}
	t.parts = append(t.parts, part{text: template[from:]})
	sample.WriteString(template[from:])
	var v any
	if err := json.Unmarshal([]byte(sample.String()), &v); err != nil {
		return fmt.Errorf("template: %w: want JSON, so quotes around a text", err)
	}
	return t.checkKeys()
}

func (t *Transformer) checkVariable(name string, closed bool) error {
	switch _, known := t.paths[name]; {
	case !closed || !isName(name):
		return fmt.Errorf("template: %.30q after \"<\": want a variable and \">\"; the two cannot stand for themselves", name)
	case !known && !slices.Contains(reserved(), name):
		return fmt.Errorf("template: variable %q: want one of the paths, or one of %s", name, strings.Join(reserved(), ", "))
	}
	return nil
}

// checkKeys rejects variables in the keys of objects, as EventBridge does. The template is
// valid JSON, so a string followed by a colon is a key.
func (t *Transformer) checkKeys() error {
	for i, p := range t.parts {
		if p.variable == "" || !p.quoted {
			continue
		}
		if after, ok := afterString(t.parts[i+1:]); ok && strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), ":") {
			return errors.New("template: variable " + strconv.Quote(p.variable) + " in a key: want it in a value")
		}
	}
	return nil
}

// afterString returns the text after the end of the string in which parts begins.
func afterString(parts []part) (string, bool) {
	for _, p := range parts {
		for i := 0; i < len(p.text); i++ {
			switch p.text[i] {
			case '\\':
				i++
			case '"':
				return p.text[i+1:], true
			}
		}
	}
	return "", false
}
