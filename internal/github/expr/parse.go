package expr

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A parser evaluates while it reads. Each of its methods takes whether the value
// is wanted: the right side of a && that is decided is read, not evaluated.
type parser struct {
	scope  Scope
	tokens []token
	at     int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.at] }

// take consumes the symbol text if it comes next.
func (p *parser) take(text string) bool {
	if t := p.peek(); t.kind == symbol && t.text == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.take(text) {
		return fmt.Errorf("unexpected %q: want %q", p.peek().text, text)
	}
	return nil
}

func (p *parser) or(wanted bool) (any, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	v, err := p.and(wanted)
	for err == nil && p.take("||") {
		var right any
		decided := Truthy(v)
		if right, err = p.and(wanted && !decided); !decided {
			v = right
		}
	}
	return v, err
}

func (p *parser) and(wanted bool) (any, error) {
	v, err := p.equality(wanted)
	for err == nil && p.take("&&") {
		var right any
		decided := !Truthy(v)
		if right, err = p.equality(wanted && !decided); !decided {
			v = right
		}
	}
	return v, err
}

func (p *parser) equality(wanted bool) (any, error) {
	v, err := p.relation(wanted)
	for err == nil {
		same := p.take("==")
		if !same && !p.take("!=") {
			break
		}
		var right any
		if right, err = p.relation(wanted); err == nil {
			v = equal(v, right) == same
		}
	}
	return v, err
}

func (p *parser) relation(wanted bool) (any, error) {
	v, err := p.unary(wanted)
	for err == nil {
		op := p.peek()
		if op.kind != symbol || !slices.Contains([]string{"<", "<=", ">", ">="}, op.text) {
			break
		}
		p.at++
		var right any
		if right, err = p.unary(wanted); err == nil {
			v = relates(v, op.text, right)
		}
	}
	return v, err
}

func (p *parser) unary(wanted bool) (any, error) {
	nots := 0
	for p.take("!") {
		nots++
	}
	v, err := p.postfix(wanted)
	if nots > 0 && err == nil {
		return Truthy(v) == (nots%2 == 0), nil
	}
	return v, err
}

// postfix reads a value and what is picked from it with . and [].
func (p *parser) postfix(wanted bool) (any, error) {
	v, err := p.primary(wanted)
	for err == nil {
		switch {
		case p.take("."):
			key := p.peek()
			p.at = min(p.at+1, len(p.tokens)-1)
			switch {
			case key.kind == name:
				v = pick(v, key.text)
			case key.text == "*":
				v = all(v)
			default:
				err = fmt.Errorf("unexpected %q: want a property", key.text)
			}
		case p.take("["):
			v, err = p.index(v, wanted)
		default:
			return v, nil
		}
	}
	return nil, err
}

func (p *parser) index(v any, wanted bool) (any, error) {
	if p.take("*") {
		return all(v), p.want("]")
	}
	key, err := p.or(wanted)
	if err != nil {
		return nil, err
	}
	return pick(v, key), p.want("]")
}

func (p *parser) primary(wanted bool) (any, error) {
	t := p.peek()
	switch {
	case p.take("("):
		v, err := p.or(wanted)
		if err != nil {
			return nil, err
		}
		return v, p.want(")")
	case t.kind == literal:
		p.at++
		return t.value, nil
	case t.kind != name:
		return nil, fmt.Errorf("unexpected %q: want a value", t.text)
	}
	p.at++
	if p.take("(") {
		return p.call(t.text, wanted)
	}
	return p.named(t.text)
}

func (p *parser) named(text string) (any, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	}
	v, ok := p.scope.Contexts[strings.ToLower(text)]
	if !ok {
		return nil, fmt.Errorf("no context is called %q here", text)
	}
	return v, nil
}

func (p *parser) call(text string, wanted bool) (any, error) {
	var args []any
	for !p.take(")") {
		if len(args) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
		}
		v, err := p.or(wanted)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	if f := p.scope.Functions[strings.ToLower(text)]; f != nil && wanted {
		return f(args)
	} else if f != nil || !wanted {
		return nil, nil
	}
	return common(text, args)
}
