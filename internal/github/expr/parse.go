package expr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A node is a part of an expression's tree.
type node interface {
	eval(s Scope) (Value, error)
	children() []node
}

type (
	literalNode struct{ value Value }
	contextNode struct{ name string } // in lower case
	notNode     struct{ operand node }
	compareNode struct {
		op          string
		left, right node
	}
	// A logicalNode is a && b && c, or with ||.
	logicalNode struct {
		or       bool
		operands []node
	}
	// An indexNode is a.b, a['b'], a[0], or, without index, a.* and a[*].
	indexNode struct{ operand, index node }
	callNode  struct {
		name string // as written
		args []node
	}
)

func (literalNode) children() []node   { return nil }
func (contextNode) children() []node   { return nil }
func (n notNode) children() []node     { return []node{n.operand} }
func (n compareNode) children() []node { return []node{n.left, n.right} }
func (n logicalNode) children() []node { return n.operands }
func (n callNode) children() []node    { return n.args }
func (n indexNode) children() []node {
	if n.index == nil {
		return []node{n.operand}
	}
	return []node{n.operand, n.index}
}

// Limits of one expression: its length in characters and the depth of its tree.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/ExpressionConstants.cs
const (
	maxLength = 21000
	maxDepth  = 50
)

// parse reads source as GitHub's servers and runners do.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/ExpressionParser.cs
func parse(source string) (node, error) {
	if n := utf8.RuneCountInString(source); n > maxLength {
		return nil, fmt.Errorf("expression %.30q…: %d characters: want at most %d", source, n, maxLength)
	}
	p := parser{lexer: lexer{source: source}}
	root, err := p.whole()
	if err == nil && tooDeep(root, maxDepth) {
		err = fmt.Errorf("want a depth of at most %d", maxDepth)
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return root, nil
}

func tooDeep(n node, limit int) bool {
	if limit == 0 {
		return true
	}
	for _, c := range n.children() {
		if tooDeep(c, limit-1) {
			return true
		}
	}
	return false
}

// walk calls f with n and every node below it.
func walk(n node, f func(node)) {
	f(n)
	for _, c := range n.children() {
		walk(c, f)
	}
}

// A parser is one token ahead of its lexer.
type parser struct {
	lexer lexer
	now   token
}

func (p *parser) advance() (err error) {
	p.now, err = p.lexer.next()
	return err
}

// is reports whether the token at hand is the mark or operator text.
func (p *parser) is(text string) bool {
	return (p.now.kind == mark || p.now.kind == operator) && p.now.text == text
}

// take goes on if the token at hand is the mark or operator text.
func (p *parser) take(text string) (bool, error) {
	if !p.is(text) {
		return false, nil
	}
	return true, p.advance()
}

// want is take, for what must be there.
func (p *parser) want(text string) error {
	if found, err := p.take(text); found || err != nil {
		return err
	}
	if p.now.kind == end {
		return fmt.Errorf("unexpected end: want %s", text)
	}
	return p.unexpected("want " + text)
}

func (p *parser) unexpected(want string) error {
	if p.now.kind == end {
		return errors.New("unexpected end: " + want)
	}
	return fmt.Errorf("unexpected symbol %q at position %d: %s", p.now.text, p.now.at+1, want)
}

func (p *parser) whole() (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	root, err := p.logical(true)
	if err != nil {
		return nil, err
	}
	if p.now.kind != end {
		return nil, p.unexpected("want an operator or the end")
	}
	return root, nil
}

// logical reads operands with || between them, each of operands with &&.
func (p *parser) logical(or bool) (node, error) {
	word := "&&"
	if or {
		word = "||"
	}
	var operands []node
	for {
		n, err := p.operandOf(or)
		if err != nil {
			return nil, err
		}
		operands = append(operands, n)
		found, err := p.take(word)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
	}
	if len(operands) == 1 {
		return operands[0], nil
	}
	return logicalNode{or, operands}, nil
}

func (p *parser) operandOf(or bool) (node, error) {
	if or {
		return p.logical(false)
	}
	return p.comparison(0)
}

// comparisons in their order of precedence, the loosest first; each is taken from
// the left.
var comparisons = [][]string{{"==", "!="}, {"<", "<=", ">", ">="}}

func (p *parser) comparison(level int) (node, error) {
	if level == len(comparisons) {
		return p.not()
	}
	left, err := p.comparison(level + 1)
	for err == nil {
		op := p.oneOf(comparisons[level])
		if op == "" {
			return left, nil
		}
		if err = p.advance(); err != nil {
			break
		}
		var right node
		right, err = p.comparison(level + 1)
		left = compareNode{op, left, right}
	}
	return nil, err
}

func (p *parser) oneOf(words []string) string {
	for _, w := range words {
		if p.is(w) {
			return w
		}
	}
	return ""
}

func (p *parser) not() (node, error) {
	times := 0
	for p.is("!") {
		times++
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	n, err := p.postfix()
	for range times {
		n = notNode{n}
	}
	return n, err
}

// postfix reads a value and what is read of it: .name, .*, [index], [*]. Nothing can
// be read of a literal.
func (p *parser) postfix() (node, error) {
	bare := p.now.kind == literal
	n, err := p.value()
	for err == nil && !bare && (p.is(".") || p.is("[")) {
		n, err = p.access(n)
	}
	return n, err
}

func (p *parser) access(operand node) (node, error) {
	bracket := p.is("[")
	if err := p.advance(); err != nil {
		return nil, err
	}
	if found, err := p.take("*"); err != nil || found && !bracket {
		return indexNode{operand: operand}, err
	} else if found {
		return indexNode{operand: operand}, p.want("]")
	}
	if bracket {
		index, err := p.logical(true)
		if err != nil {
			return nil, err
		}
		return indexNode{operand, index}, p.want("]")
	}
	if p.now.kind != name {
		return nil, p.unexpected("want the name of a property or *")
	}
	property := p.now.text
	return indexNode{operand, literalNode{property}}, p.advance()
}

// value reads a literal, a context, a call, or an expression in parentheses.
func (p *parser) value() (node, error) {
	t := p.now
	if t.kind != literal && t.kind != name && !p.is("(") {
		return nil, p.unexpected("want a value")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch {
	case t.kind == literal:
		return literalNode{t.value}, nil
	case t.kind == mark:
		n, err := p.logical(true)
		if err != nil {
			return nil, err
		}
		return n, p.want(")")
	case p.is("("):
		return p.call(t.text)
	}
	return contextNode{strings.ToLower(t.text)}, nil
}

// call reads the arguments of a function, whose parenthesis is at hand.
func (p *parser) call(function string) (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	n := callNode{name: function}
	if found, err := p.take(")"); found || err != nil {
		return n, err
	}
	for {
		arg, err := p.logical(true)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		if found, err := p.take(","); err != nil {
			return nil, err
		} else if !found {
			return n, p.want(")")
		}
	}
}
