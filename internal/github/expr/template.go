package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Expand replaces each ${{ }} of template by the text of its value.
func (s Scope) Expand(template string) (string, error) {
	var b strings.Builder
	err := split(template, func(text string) error {
		b.WriteString(text)
		return nil
	}, func(source string) error {
		v, err := s.Eval(source)
		b.WriteString(Text(v))
		return err
	})
	if err != nil {
		return "", err
	}
	return b.String(), nil
}

// Resolve is [Scope.Expand], but a template that is one ${{ }} and nothing else
// keeps the type of its value, so that a list can come out of fromJSON.
func (s Scope) Resolve(template string) (Value, error) {
	if source, whole := wrapped(template); whole {
		return s.Eval(source)
	}
	return s.Expand(template)
}

// Has reports whether template contains an expression.
func Has(template string) bool {
	_, after, found := strings.Cut(template, "${{")
	return found && strings.Contains(after, "}}")
}

// Within reports whether a server can expand template when it knows the named
// contexts: see [Check].
func Within(template string, contexts ...string) bool { return Check(template, contexts...) == nil }

// Check returns what in template is wrong, or that it reads a context which is
// not among the named ones, or calls what only a runner knows.
func Check(template string, contexts ...string) error {
	return split(template, func(string) error { return nil }, func(source string) error {
		root, err := parse(source)
		if err != nil {
			return err
		}
		walk(root, func(n node) {
			if err == nil {
				err = serverSide(n, contexts)
			}
		})
		if err != nil {
			return fmt.Errorf("expression %q: %w", source, err)
		}
		return nil
	})
}

// serverSide returns why node is not for a server to evaluate.
// github.token is the runner's to give: it differs per job.
func serverSide(n node, contexts []string) error {
	switch n := n.(type) {
	case contextNode:
		if !slices.Contains(contexts, n.name) {
			return fmt.Errorf("context %q is not known here: want one of %s", n.name, strings.Join(contexts, ", "))
		}
	case indexNode:
		context, isContext := n.operand.(contextNode)
		key, isLiteral := n.index.(literalNode)
		if isContext && isLiteral && context.name == "github" && strings.EqualFold(Text(key.value), "token") {
			return errors.New("github.token is known to the runner only")
		}
	case callNode:
		return n.check()
	}
	return nil
}

// Format turns template into one expression, as GitHub sends to runners what
// they are to expand: "a ${{ b }}" becomes format('a {0}', b).
func Format(template string) string {
	if source, whole := wrapped(template); whole {
		return source
	}
	var text strings.Builder
	var args []string
	braces := strings.NewReplacer("{", "{{", "}", "}}", "'", "''")
	// the callbacks return no error, so neither does split
	_ = split(template, func(s string) error {
		text.WriteString(braces.Replace(s))
		return nil
	}, func(source string) error {
		fmt.Fprintf(&text, "{%d}", len(args))
		args = append(args, source)
		return nil
	})
	return "format('" + text.String() + "'" + strings.Join(append([]string{""}, args...), ", ") + ")"
}

// split gives the pieces of template in order: text, and expressions.
func split(template string, text, expression func(string) error) error {
	for template != "" {
		before, rest, found := strings.Cut(template, "${{")
		if before != "" {
			if err := text(before); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
		end := closing(rest)
		if end < 0 {
			return fmt.Errorf("expression %q: want }} at its end", rest)
		}
		if err := expression(strings.TrimSpace(rest[:end])); err != nil {
			return err
		}
		template = rest[end+2:]
	}
	return nil
}

// closing returns where in s the }} is that ends an expression, past quotes.
func closing(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(s[i:], "}}"):
			return i
		}
	}
	return -1
}

// wrapped returns the source of template if it is one expression and no text.
func wrapped(template string) (source string, whole bool) {
	rest, found := strings.CutPrefix(template, "${{")
	end := closing(rest)
	if !found || end < 0 || end != len(rest)-2 {
		return "", false
	}
	return strings.TrimSpace(rest[:end]), true
}

// bare takes ${{ }} off a condition, which may stand with or without.
func bare(condition string) string {
	condition = strings.TrimSpace(condition)
	if source, whole := wrapped(condition); whole {
		return source
	}
	return condition
}
