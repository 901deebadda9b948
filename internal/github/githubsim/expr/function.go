package expr

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// A function is one that needs no runner.
type function struct {
	min, max int // arguments; max -1 for any number
	apply    func(env Env, args []Value) (Value, error)
}

// functions are by lower-case name. hashFiles is missing: only a runner has files.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions
var functions = map[string]function{
	"always":     {0, 0, func(Env, []Value) (Value, error) { return true, nil }},
	"cancelled":  {0, 0, func(env Env, _ []Value) (Value, error) { return env.Status == Canceled, nil }},
	"success":    {0, 0, func(env Env, _ []Value) (Value, error) { return env.Status == Success, nil }},
	"failure":    {0, 0, func(env Env, _ []Value) (Value, error) { return env.Status == Failure, nil }},
	"contains":   {2, 2, contains},
	"startswith": {2, 2, func(_ Env, a []Value) (Value, error) { return strings.HasPrefix(lower(a[0]), lower(a[1])), nil }},
	"endswith":   {2, 2, func(_ Env, a []Value) (Value, error) { return strings.HasSuffix(lower(a[0]), lower(a[1])), nil }},
	"format":     {1, -1, format},
	"join":       {1, 2, join},
	"tojson":     {1, 1, toJSON},
	"fromjson":   {1, 1, fromJSON},
}

func (env Env) call(n *actionlint.FuncCallNode) (Value, error) {
	f, ok := functions[strings.ToLower(n.Callee)]
	if !ok {
		return nil, fmt.Errorf("function %q is not supported", n.Callee)
	}
	if len(n.Args) < f.min || f.max >= 0 && len(n.Args) > f.max {
		return nil, fmt.Errorf("function %q with %d arguments: want %d", n.Callee, len(n.Args), f.min)
	}
	args := make([]Value, len(n.Args))
	for i, a := range n.Args {
		v, err := env.eval(a)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return f.apply(env, args)
}

func contains(_ Env, a []Value) (Value, error) {
	switch in := a[0].(type) {
	case []any, filtered:
		for _, item := range items(in) {
			if compare(actionlint.CompareOpNodeKindEq, item, a[1]) {
				return true, nil
			}
		}
		return false, nil
	}
	return strings.Contains(lower(a[0]), lower(a[1])), nil
}

// format replaces {0} by the first argument after the text, and {{ by {.
func format(_ Env, a []Value) (Value, error) {
	text := Text(a[0])
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "{{"), strings.HasPrefix(text[i:], "}}"):
			b.WriteByte(text[i])
			i++
		case text[i] == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("format %q: want } after {", text)
			}
			n, err := strconv.Atoi(text[i+1 : i+end])
			if err != nil || n < 0 || n+1 >= len(a) {
				return nil, fmt.Errorf("format %q: no argument %s", text, text[i:i+end+1])
			}
			b.WriteString(Text(a[n+1]))
			i += end
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), nil
}

func join(_ Env, a []Value) (Value, error) {
	separator := ","
	if len(a) == 2 {
		separator = Text(a[1])
	}
	var parts []string
	switch list := a[0].(type) {
	case []any, filtered:
		for _, item := range items(list) {
			parts = append(parts, Text(item))
		}
	default:
		parts = []string{Text(list)}
	}
	return strings.Join(parts, separator), nil
}

func toJSON(_ Env, a []Value) (Value, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as GitHub's does not
	enc.SetIndent("", "  ")
	err := enc.Encode(a[0])
	return strings.TrimSuffix(b.String(), "\n"), err
}

func fromJSON(_ Env, a []Value) (Value, error) {
	var v Value
	if err := json.Unmarshal([]byte(Text(a[0])), &v); err != nil {
		return nil, fmt.Errorf("fromJSON of %q: %w", Text(a[0]), err)
	}
	return v, nil
}

func lower(v Value) string { return strings.ToLower(Text(v)) }
