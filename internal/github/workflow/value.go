package workflow

import (
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// value converts a value of a matrix to its type.
func (r *reader) value(raw actionlint.RawYAMLValue) expr.Value {
	switch v := raw.(type) {
	case *actionlint.RawYAMLObject:
		object := map[string]any{}
		for k, p := range v.Props {
			object[k] = r.value(p)
		}
		return object
	case *actionlint.RawYAMLArray:
		list := []any{}
		for _, e := range v.Elems {
			list = append(list, r.value(e))
		}
		return list
	case *actionlint.RawYAMLString:
		if r.isText(v.Pos()) {
			return v.Value
		}
		return scalar(v.Value)
	}
	return nil
}

// isText reports whether the scalar at pos is quoted, a block, or tagged as a
// text: actionlint's tree has lost that, and 1.20 and "1.20" are not the same.
func (r *reader) isText(pos *actionlint.Pos) bool {
	if pos.Line > len(r.lines) {
		return false
	}
	line := []rune(r.lines[pos.Line-1])
	rest := strings.TrimSpace(string(line[min(pos.Col-1, len(line)):]))
	for strings.HasPrefix(rest, "&") || strings.HasPrefix(rest, "!") {
		word, after, _ := strings.Cut(rest, " ")
		if word == "!!str" {
			return true
		}
		rest = strings.TrimSpace(after)
	}
	return rest != "" && strings.ContainsRune(`"'|>`, rune(rest[0]))
}

// scalar gives a plain YAML scalar its type, by the core schema of YAML 1.2, which
// GitHub reads: 1.20 is the number 1.2.
// https://github.com/actions/runner/blob/main/src/Sdk/WorkflowParser/Conversion/YamlObjectReader.cs
func scalar(s string) expr.Value {
	switch s {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case "null", "Null", "NULL", "~", "":
		return nil
	}
	for prefix, base := range map[string]int{"0x": 16, "0o": 8} {
		if digits, found := strings.CutPrefix(s, prefix); found {
			if n, err := strconv.ParseInt(digits, base, 64); err == nil {
				return float64(n)
			}
			return s
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xXpP_iInN") { // what only Go takes for a number
		return s
	}
	return n
}
