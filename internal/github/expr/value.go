package expr

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Truthy says what a value counts for as a condition: false, 0, -0, ”, null and
// NaN are false.
func Truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// Text is a value as it stands in a string.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'G', 15, 64)
	case string:
		return v
	case []any:
		return "Array"
	}
	return "Object"
}

// numeric is a value as GitHub takes it for a number when types differ.
func numeric(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		if s := strings.TrimSpace(v); s == "" {
			return 0
		} else if f, ok := parseNumber(s); ok {
			return f
		}
	}
	return math.NaN()
}

// equal compares loosely: strings ignore case, values of different types are
// compared as numbers, objects are not compared.
func equal(a, b any) bool {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return strings.EqualFold(x, y)
		}
	case []any, map[string]any:
		return false
	}
	return numeric(a) == numeric(b)
}

func relates(a any, op string, b any) bool {
	x, ok := a.(string)
	y, both := b.(string)
	var order int
	if ok && both {
		order = strings.Compare(strings.ToUpper(x), strings.ToUpper(y))
	} else {
		m, n := numeric(a), numeric(b)
		switch {
		case math.IsNaN(m) || math.IsNaN(n):
			return false
		case m < n:
			order = -1
		case m > n:
			order = 1
		}
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// A filtered is what * made; a property of it is picked from each of its items.
type filtered []any

// all is v.*: the values of an object or the items of a list.
func all(v any) any {
	switch v := v.(type) {
	case []any:
		return filtered(v)
	case filtered:
		var out filtered
		for _, item := range v {
			if list, ok := all(item).(filtered); ok {
				out = append(out, list...)
			}
		}
		return out
	case map[string]any:
		out := filtered{}
		for _, k := range sortedKeys(v) {
			out = append(out, v[k])
		}
		return out
	}
	return filtered{}
}

// pick is v.key or v[key]; what is not there is null.
func pick(v, key any) any {
	switch v := v.(type) {
	case map[string]any:
		if exact, ok := v[Text(key)]; ok {
			return exact
		}
		for _, k := range sortedKeys(v) {
			if strings.EqualFold(k, Text(key)) {
				return v[k]
			}
		}
	case []any:
		if i := numeric(key); i >= 0 && i < float64(len(v)) {
			return v[int(i)]
		}
	case filtered:
		if _, isIndex := key.(float64); isIndex {
			return pick([]any(v), key)
		}
		out := filtered{}
		for _, item := range v {
			if got := pick(item, key); got != nil {
				out = append(out, got)
			}
		}
		return out
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// common calls the functions that are the same everywhere.
func common(name string, args []any) (any, error) {
	for i, a := range args {
		if list, ok := a.(filtered); ok {
			args[i] = []any(list)
		}
	}
	counts := map[string][2]int{
		"contains": {2, 2}, "startswith": {2, 2}, "endswith": {2, 2}, "format": {1, 255},
		"join": {1, 2}, "tojson": {1, 1}, "fromjson": {1, 1},
	}
	name = strings.ToLower(name)
	count, known := counts[name]
	switch {
	case !known:
		return nil, fmt.Errorf("no function is called %q here", name)
	case len(args) < count[0] || len(args) > count[1]:
		return nil, fmt.Errorf("%s with %d arguments: want %d to %d", name, len(args), count[0], count[1])
	}
	switch name {
	case "contains":
		return contains(args[0], args[1]), nil
	case "startswith":
		return strings.HasPrefix(strings.ToLower(Text(args[0])), strings.ToLower(Text(args[1]))), nil
	case "endswith":
		return strings.HasSuffix(strings.ToLower(Text(args[0])), strings.ToLower(Text(args[1]))), nil
	case "format":
		return format(Text(args[0]), args[1:])
	case "join":
		return join(args), nil
	case "tojson":
		return toJSON(args[0])
	}
	var v any
	if err := json.Unmarshal([]byte(Text(args[0])), &v); err != nil {
		return nil, fmt.Errorf("fromJSON of %q: %w", Text(args[0]), err)
	}
	return v, nil
}

func toJSON(v any) (string, error) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return strings.TrimSuffix(out.String(), "\n"), err
}

func contains(v, item any) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, func(x any) bool { return equal(x, item) })
	}
	return strings.Contains(strings.ToLower(Text(v)), strings.ToLower(Text(item)))
}

func join(args []any) string {
	separator := ","
	if len(args) > 1 {
		separator = Text(args[1])
	}
	list, ok := args[0].([]any)
	if !ok {
		return Text(args[0])
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = Text(v)
	}
	return strings.Join(texts, separator)
}

// format replaces {0}, {1} …; {{ and }} stand for braces.
func format(s string, args []any) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '{' && c != '}' {
			out.WriteByte(c)
			continue
		}
		if i+1 < len(s) && s[i+1] == c {
			out.WriteByte(c)
			i++
			continue
		}
		digits, _, ok := strings.Cut(s[i+1:], "}")
		n, err := strconv.Atoi(digits)
		if c == '}' || !ok || err != nil || n < 0 || n >= len(args) {
			return "", fmt.Errorf("format %q: want {0} to {%d}, and {{ for a brace", s, len(args)-1)
		}
		out.WriteString(Text(args[n]))
		i += len(digits) + 1
	}
	return out.String(), nil
}
