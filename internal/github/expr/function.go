package expr

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A function can be called from an expression.
type function struct {
	min, max int // arguments
	apply    func(s Scope, args []Value) (Value, error)
}

// functions are by lower-case name. case is with the tree, as it evaluates only what
// it needs; hashFiles is missing: it needs a workspace, which the server has not; a
// runner adds it to its scopes.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions
var functions = map[string]function{
	"always":     {0, 0, func(Scope, []Value) (Value, error) { return true, nil }},
	"cancelled":  {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Canceled, nil }},
	"success":    {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Success, nil }},
	"failure":    {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Failure, nil }},
	"case":       {3, 255, nil},
	"contains":   {2, 2, contains},
	"startswith": {2, 2, texts(func(text, part string) bool { return strings.HasPrefix(text, part) })},
	"endswith":   {2, 2, texts(func(text, part string) bool { return strings.HasSuffix(text, part) })},
	"format":     {1, 255, format},
	"join":       {1, 2, join},
	"tojson":     {1, 1, toJSON},
	"fromjson":   {1, 1, fromJSON},
}

// check returns what is wrong with a call: a function that is not known, or the
// number of its arguments.
func (n callNode) check() error {
	f, ok := functions[strings.ToLower(n.name)]
	switch {
	case !ok:
		return fmt.Errorf("function %q is not known here", n.name)
	case len(n.args) < f.min || len(n.args) > f.max:
		return fmt.Errorf("function %q with %d arguments: want %d to %d", n.name, len(n.args), f.min, f.max)
	case f.apply == nil && len(n.args)%2 == 0:
		return fmt.Errorf("function %q with %d arguments: want pairs of a condition and a value, and one value more", n.name, len(n.args))
	}
	return nil
}

func (n callNode) eval(s Scope) (Value, error) {
	own := s.Functions[strings.ToLower(n.name)]
	f := functions[strings.ToLower(n.name)]
	if own == nil && f.apply == nil {
		return n.evalCase(s)
	}
	args := make([]Value, len(n.args))
	for i, a := range n.args {
		v, err := a.eval(s)
		if err != nil {
			return nil, err
		}
		args[i] = plain(v)
	}
	if own != nil {
		return own(args)
	}
	v, err := f.apply(s, args)
	if text, ok := v.(string); ok && len(text) > maxText {
		return nil, errLong
	}
	return v, err
}

// maxText is how long a text may become, in bytes: toJSON(toJSON(…)) doubles it with
// each call. GitHub bounds the memory of an evaluation so.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/EvaluationOptions.cs
const maxText = 10 << 20

var errLong = fmt.Errorf("the text gets too long: want at most %d bytes", maxText)

// evalCase gives the value after the first condition that is true, or the last.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Sdk/Functions/Case.cs
func (n callNode) evalCase(s Scope) (Value, error) {
	for i := 0; i+1 < len(n.args); i += 2 {
		v, err := n.args[i].eval(s)
		if err != nil {
			return nil, err
		}
		holds, isBool := v.(bool)
		if !isBool {
			return nil, fmt.Errorf("case %q: want true or false", Text(v))
		}
		if holds {
			return n.args[i+1].eval(s)
		}
	}
	return n.args[len(n.args)-1].eval(s)
}

// contains looks for a text in a text, or for a value in a list.
func contains(_ Scope, a []Value) (Value, error) {
	if list, ok := a[0].([]any); ok {
		return slices.ContainsFunc(list, func(item any) bool { return compare("==", item, a[1]) }), nil
	}
	return texts(strings.Contains)(Scope{}, a)
}

// texts makes a function of two texts, which ignores case; lists and objects are none.
func texts(holds func(text, part string) bool) func(Scope, []Value) (Value, error) {
	return func(_ Scope, a []Value) (Value, error) {
		return primitive(a[0]) && primitive(a[1]) && holds(strings.ToUpper(Text(a[0])), strings.ToUpper(Text(a[1]))), nil
	}
}

// format replaces {0} by the first argument after the text, and {{ by {.
func format(_ Scope, a []Value) (Value, error) {
	text, args := Text(a[0]), a[1:]
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c != '{' && c != '}':
			b.WriteByte(c)
		case i+1 < len(text) && text[i+1] == c:
			b.WriteByte(c)
			i++
		default:
			digits, _, closed := strings.Cut(text[i+1:], "}")
			n, err := strconv.Atoi(digits)
			if c == '}' || !closed || err != nil || n < 0 || n >= len(args) {
				return nil, fmt.Errorf("format %q with %d values: want {0} for the first, and {{ for a brace", text, len(args))
			}
			b.WriteString(Text(args[n]))
			i += len(digits) + 1
			if b.Len() > maxText {
				return nil, errLong
			}
		}
	}
	return b.String(), nil
}

// join puts a list together; of an object it makes the empty text.
func join(_ Scope, a []Value) (Value, error) {
	separator := ","
	if len(a) == 2 && primitive(a[1]) {
		separator = Text(a[1])
	}
	list, ok := a[0].([]any)
	if !ok && primitive(a[0]) {
		return Text(a[0]), nil
	}
	var b strings.Builder
	for i, item := range list {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(Text(item))
		if b.Len() > maxText {
			return nil, errLong
		}
	}
	return b.String(), nil
}

func toJSON(_ Scope, a []Value) (Value, error) {
	var b strings.Builder
	writeJSON(&b, a[0], "\n")
	return b.String(), nil
}

// writeJSON writes v as GitHub does: by two spaces, and numbers as everywhere.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Sdk/Functions/ToJson.cs
func writeJSON(b *strings.Builder, v Value, line string) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(quoted(v))
	case []any:
		between := "["
		for _, item := range v {
			b.WriteString(between + line + "  ")
			writeJSON(b, item, line+"  ")
			between = ","
		}
		closeJSON(b, len(v), "[", "]", line)
	case map[string]any:
		between := "{"
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(between + line + "  " + quoted(k) + ": ")
			writeJSON(b, v[k], line+"  ")
			between = ","
		}
		closeJSON(b, len(v), "{", "}", line)
	default:
		b.WriteString(Text(v))
	}
}

func closeJSON(b *strings.Builder, n int, open, shut, line string) {
	if n == 0 {
		b.WriteString(open + shut)
		return
	}
	b.WriteString(line + shut)
}

// quoted gives a text as JSON, without what HTML would need.
func quoted(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // of a text it does not fail
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\u0085", `\u0085`)
}

func fromJSON(_ Scope, a []Value) (Value, error) {
	var v Value
	if err := json.Unmarshal([]byte(Text(a[0])), &v); err != nil {
		return nil, fmt.Errorf("fromJSON of %q: %w", Text(a[0]), err)
	}
	return v, nil
}
