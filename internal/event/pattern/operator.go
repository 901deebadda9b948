package pattern

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// operators are the names of match expressions, in the order of PATTERNS.md.
func operators() []string {
	return []string{
		"exactly", "prefix", "suffix", "equals-ignore-case", "wildcard",
		"anything-but", "numeric", "exists", "cidr",
	}
}

// add compiles one entry of a field's list into c.
func (p *parser) add(c *clause, item *tree) {
	switch item.kind {
	case '"':
		if address, ok := parseAddress(item.text); ok {
			c.blocks = append(c.blocks, block{netip.PrefixFrom(address, address.BitLen())})
		} else {
			c.texts = append(c.texts, item.text)
		}
	case '0':
		if n, ok := micros([]byte(item.text)); ok {
			c.numbers = append(c.numbers, n)
		}
		c.literals = append(c.literals, item.text)
	case 't', 'f', 'n':
		c.literals = append(c.literals, item.text)
	case '{':
		name, operand := p.only(item, "an operator, such as {\"prefix\": \"a\"}")
		p.expression(c, name, operand)
	default:
		p.fail(item.at, item.String(), "a string, a number, true, false, null or a match expression")
	}
}

// only returns the single member of a match expression.
func (p *parser) only(t *tree, want string) (member, *tree) {
	if len(t.members) == 0 {
		p.fail(t.at, "an empty object", want)
	}
	if len(t.members) > 1 {
		p.fail(t.members[1].at, fmt.Sprintf("a second operator %q in one match expression", t.members[1].name),
			"one operator; each gets an object of its own in the list")
	}
	return t.members[0], t.members[0].value
}

// expression compiles {operator: operand} into c.
func (p *parser) expression(c *clause, operator member, operand *tree) {
	switch operator.name {
	case "exactly":
		c.texts = append(c.texts, p.text(operand, "exactly"))
	case "prefix":
		c.terms = append(c.terms, p.affix(operand, "prefix"))
	case "suffix":
		c.terms = append(c.terms, p.affix(operand, "suffix"))
	case "equals-ignore-case":
		c.terms = append(c.terms, foldedExact{fold(p.text(operand, "equals-ignore-case"))})
	case "wildcard":
		c.terms = append(c.terms, p.wildcard(operand))
	case "anything-but":
		c.terms = append(c.terms, p.anythingBut(c, operand))
	case "numeric":
		c.numeric = true
		c.terms = append(c.terms, p.numeric(operand))
	case "exists":
		p.exists(c, operand)
	case "cidr":
		prefix, ok := parseCIDR(p.text(operand, "cidr"))
		if !ok {
			p.fail(operand.at, operand.String(), `an address and 0–31 or 0–127 bits, such as "10.0.0.0/24" or "2001:db8::/32"`)
		}
		c.blocks = append(c.blocks, block{prefix})
	default:
		p.fail(operator.at, fmt.Sprintf("unknown operator %q", operator.name), "one of "+strings.Join(operators(), ", "))
	}
}

func (p *parser) text(t *tree, operator string) string {
	if t.kind != '"' {
		p.fail(t.at, fmt.Sprintf("%s of %q", t, operator), "a string")
	}
	return t.text
}

// affix compiles the operand of prefix and suffix.
func (p *parser) affix(operand *tree, operator string) term {
	if operand.kind != '{' {
		text := p.text(operand, operator)
		if operator == "prefix" {
			return prefix(text)
		}
		return suffix(text)
	}
	inner, text := p.only(operand, `{"equals-ignore-case": "text"}`)
	if inner.name != "equals-ignore-case" {
		p.fail(inner.at, fmt.Sprintf("%q inside %q", inner.name, operator), `"equals-ignore-case"`)
	}
	f := fold(p.text(text, inner.name))
	if operator == "prefix" {
		return foldedPrefix{f}
	}
	return foldedSuffix{f}
}

// wildcard compiles text with asterisks, where \* and \\ stand for * and \.
func (p *parser) wildcard(operand *tree) term {
	text := p.text(operand, "wildcard")
	pieces := glob{nil}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '*' && i > 0 && text[i-1] == '*' && len(pieces[len(pieces)-1]) == 0:
			p.fail(operand.at, fmt.Sprintf("wildcard %q has two asterisks in a row", text), "one asterisk, which already matches any text")
		case text[i] == '*':
			pieces = append(pieces, nil)
			continue
		case text[i] == '\\':
			if i++; i == len(text) || text[i] != '*' && text[i] != '\\' {
				p.fail(operand.at, fmt.Sprintf("wildcard %q has a backslash before neither * nor \\", text), `\* for an asterisk, \\ for a backslash`)
			}
		}
		last := &pieces[len(pieces)-1]
		*last = append(*last, text[i])
	}
	return wildcard{pieces}
}

func (p *parser) exists(c *clause, operand *tree) {
	switch operand.kind {
	case 't':
		c.present = true
	case 'f':
		c.absent = true
	default:
		p.fail(operand.at, fmt.Sprintf("%s of \"exists\"", operand), "true or false")
	}
}

// anythingBut compiles a string, a number, a list of either, or one operator
// over a string or a list of strings.
func (p *parser) anythingBut(c *clause, operand *tree) term {
	if operand.kind != '{' {
		return p.anythingButValues(c, operand)
	}
	inner, text := p.only(operand, "prefix, suffix, equals-ignore-case or wildcard")
	var compile func(*tree) term
	switch inner.name {
	case "prefix", "suffix":
		compile = func(t *tree) term {
			if p.text(t, inner.name) == "" {
				p.fail(t.at, fmt.Sprintf("an empty %s in \"anything-but\" matches nothing", inner.name), "some text")
			}
			return p.affix(t, inner.name)
		}
	case "equals-ignore-case":
		compile = func(t *tree) term { return foldedExact{fold(p.text(t, inner.name))} }
	case "wildcard":
		compile = p.wildcard
	default:
		p.fail(inner.at, fmt.Sprintf("%q inside \"anything-but\"", inner.name), "prefix, suffix, equals-ignore-case or wildcard")
	}
	var terms except
	for _, t := range p.oneOrMore(text) {
		terms = append(terms, compile(t))
	}
	return terms
}

func (p *parser) anythingButValues(c *clause, operand *tree) term {
	var terms except
	items := p.oneOrMore(operand)
	for _, t := range items {
		if t.kind != items[0].kind {
			p.fail(t.at, fmt.Sprintf("%s beside %s in \"anything-but\"", t, items[0]), "all strings or all numbers")
		}
		switch t.kind {
		case '"':
			terms = append(terms, exact(t.text))
		case '0':
			c.numeric = true
			terms = append(terms, equal(p.number(t)))
		default:
			p.fail(t.at, fmt.Sprintf("%s of \"anything-but\"", t), "a string, a number, a list of either, or an operator")
		}
	}
	return terms
}

// oneOrMore returns the items of a list, or t by itself if it is no list.
func (p *parser) oneOrMore(t *tree) []*tree {
	if t.kind != '[' {
		return []*tree{t}
	}
	if len(t.items) == 0 {
		p.fail(t.at, "an empty list", "at least one value")
	}
	return t.items
}

// number returns a number that operators can compare, in millionths.
func (p *parser) number(t *tree) int64 {
	n, ok := micros([]byte(t.text))
	if t.kind != '0' || !ok {
		p.fail(t.at, t.String(), "a number from -5,000,000,000 to 5,000,000,000 with at most 6 decimals")
	}
	return n
}

// numeric compiles ["=", n], [">", n, "<=", n] and the like.
func (p *parser) numeric(operand *tree) term {
	const want = `a list such as [">=", 1, "<", 5] or ["=", 3]`
	if operand.kind != '[' || len(operand.items) != 2 && len(operand.items) != 4 {
		p.fail(operand.at, fmt.Sprintf("%s of \"numeric\"", operand), want)
	}
	low, high := int64(minMicros), int64(maxMicros)
	for i := 0; i < len(operand.items); i += 2 {
		operator, n := operand.items[i], operand.items[i+1]
		allowed := []string{"=", "<", "<=", ">", ">="}
		if i == 2 {
			allowed = []string{"<", "<="}
		} else if len(operand.items) == 4 {
			allowed = []string{">", ">="}
		}
		if operator.kind != '"' || !slices.Contains(allowed, operator.text) {
			p.fail(operator.at, fmt.Sprintf("%s at this place of \"numeric\"", operator), "one of "+strings.Join(allowed, " "))
		}
		switch bound := p.number(n); operator.text {
		case "=":
			return equal(bound)
		case ">", ">=":
			low = bound
		default:
			high = bound
		}
	}
	if low >= high {
		p.fail(operand.at, "a range of \"numeric\" that holds nothing or one number", `a lower bound below the upper; ["=", n] for one number`)
	}
	if operand.items[0].text == ">" {
		low++
	}
	if operand.items[len(operand.items)-2].text == "<" {
		high--
	}
	return between{low, high}
}
