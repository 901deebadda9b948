package expr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// A function can be called from an expression.
type function struct {
	min, max int // arguments
	apply    func(s Scope, args []Value) (Value, error)
}

// functions are by lower-case name. hashFiles is missing: it needs a workspace,
// which the server has not; a runner adds it to its scopes.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions
var functions = map[string]function{
	"always":     {0, 0, func(Scope, []Value) (Value, error) { return true, nil }},
	"cancelled":  {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Canceled, nil }},
	"success":    {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Success, nil }},
	"failure":    {0, 0, func(s Scope, _ []Value) (Value, error) { return s.Status == Failure, nil }},
	"contains":   {2, 2, contains},
	"startswith": {2, 2, func(_ Scope, a []Value) (Value, error) { return strings.HasPrefix(lower(a[0]), lower(a[1])), nil }},
	"endswith":   {2, 2, func(_ Scope, a []Value) (Value, error) { return strings.HasSuffix(lower(a[0]), lower(a[1])), nil }},
	"format":     {1, 255, format},
	"join":       {1, 2, join},
	"tojson":     {1, 1, toJSON},
	"fromjson":   {1, 1, fromJSON},
}

func named(name string) (function, error) {
	f, ok := functions[strings.ToLower(name)]
	if !ok {
		return f, fmt.Errorf("function %q is not known here", name)
	}
	return f, nil
}

func (s Scope) call(n *actionlint.FuncCallNode) (Value, error) {
	if own, ok := s.Functions[strings.ToLower(n.Callee)]; ok {
		args, err := s.args(n)
		if err != nil {
			return nil, err
		}
		return own(args)
	}
	f, err := named(n.Callee)
	if err != nil {
		return nil, err
	}
	if len(n.Args) < f.min || len(n.Args) > f.max {
		return nil, fmt.Errorf("function %q with %d arguments: want %d to %d", n.Callee, len(n.Args), f.min, f.max)
	}
	args, err := s.args(n)
	if err != nil {
		return nil, err
	}
	return f.apply(s, args)
}

func (s Scope) args(n *actionlint.FuncCallNode) ([]Value, error) {
	args := make([]Value, len(n.Args))
	for i, a := range n.Args {
		v, err := s.eval(a)
		if err != nil {
			return nil, err
		}
		args[i] = plain(v)
	}
	return args, nil
}

func contains(_ Scope, a []Value) (Value, error) {
	if list, ok := a[0].([]any); ok {
		return slices.ContainsFunc(list, func(item any) bool {
			return compare(actionlint.CompareOpNodeKindEq, item, a[1])
		}), nil
	}
	return strings.Contains(lower(a[0]), lower(a[1])), nil
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
		}
	}
	return b.String(), nil
}

func join(_ Scope, a []Value) (Value, error) {
	separator := ","
	if len(a) == 2 {
		separator = Text(a[1])
	}
	list, ok := a[0].([]any)
	if !ok {
		return Text(a[0]), nil
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = Text(item)
	}
	return strings.Join(texts, separator), nil
}

func toJSON(_ Scope, a []Value) (Value, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as GitHub's does not
	enc.SetIndent("", "  ")
	err := enc.Encode(a[0])
	return strings.TrimSuffix(b.String(), "\n"), err
}

func fromJSON(_ Scope, a []Value) (Value, error) {
	var v Value
	if err := json.Unmarshal([]byte(Text(a[0])), &v); err != nil {
		return nil, fmt.Errorf("fromJSON of %q: %w", Text(a[0]), err)
	}
	return v, nil
}

func lower(v Value) string { return strings.ToLower(Text(v)) }
