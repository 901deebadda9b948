// Package expr evaluates GitHub's expressions: what stands between ${{ and }} in
// a workflow, and after if:.
//
// It follows https://docs.github.com/en/actions/reference/workflows-and-actions/expressions:
// literals, operators with loose comparison, property and index access that
// ignores case, the filter *, and functions. What it does not know is an error
// that names it, never a silent null. A value is nil, bool, float64, string,
// []any or map[string]any, as encoding/json makes them.
package expr

import (
	"fmt"
	"strings"
)

// Scope is what names in an expression stand for. The zero value knows no
// context and the common functions only.
type Scope struct {
	Contexts  map[string]any                      // by name in lower case, such as "github"
	Functions map[string]func([]any) (any, error) // by name in lower case, besides the common ones, such as "success"
}

// maxDepth bounds nesting, so that no expression exhausts the stack.
const maxDepth = 100

// Eval evaluates one expression, without ${{ and }}.
func (s Scope) Eval(source string) (any, error) {
	tokens, err := scan(source)
	if err != nil {
		return nil, fmt.Errorf("reading expression %q: %w", source, err)
	}
	p := parser{scope: s, tokens: tokens}
	v, err := p.or(true)
	if err == nil && p.peek().kind != end {
		err = fmt.Errorf("unexpected %q", p.peek().text)
	}
	if err != nil {
		return nil, fmt.Errorf("evaluating expression %q: %w", source, err)
	}
	if list, ok := v.(filtered); ok {
		return []any(list), nil
	}
	return v, nil
}

// Expand returns text with each ${{ expression }} replaced by its value as text.
func (s Scope) Expand(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		n, err := closing(rest)
		if err != nil {
			return "", fmt.Errorf("expanding %q: %w", text, err)
		}
		v, err := s.Eval(strings.TrimSpace(rest[:n]))
		if err != nil {
			return "", err
		}
		out.WriteString(Text(v))
		text = rest[n+2:]
	}
}

// closing returns where the }} of an expression is; those in strings do not count.
func closing(s string) (int, error) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(s[i:], "}}"):
			return i, nil
		}
	}
	return 0, fmt.Errorf("${{ without its }}")
}

// Condition evaluates what stands after if:. Like GitHub it adds success() unless
// the condition asks for the status itself; an empty condition is success().
func (s Scope) Condition(source string) (bool, error) {
	source = strings.TrimSpace(source)
	if inner, ok := strings.CutPrefix(source, "${{"); ok && strings.Count(source, "${{") == 1 {
		source = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(inner), "}}"))
	}
	if source == "" {
		source = "success()"
	}
	tokens, err := scan(source)
	if err != nil {
		return false, fmt.Errorf("reading condition %q: %w", source, err)
	}
	if !asksStatus(tokens) {
		source = "success() && (" + source + ")"
	}
	v, err := s.Eval(source)
	return Truthy(v), err
}

func asksStatus(tokens []token) bool {
	for i, t := range tokens {
		if t.kind == name && i+1 < len(tokens) && tokens[i+1].text == "(" {
			switch strings.ToLower(t.text) {
			case "success", "failure", "always", "cancelled":
				return true
			}
		}
	}
	return false
}
