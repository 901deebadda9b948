package expr

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"unicode"
)

// A token is one word of an expression.
type token struct {
	kind  kind
	text  string // as written; of a property or a name, its letters
	at    int    // where it begins, in bytes
	value Value  // of a literal
}

// A kind of token.
type kind int

const (
	end      kind = iota // of the expression
	literal              // null, true, a number or a text
	name                 // of a context, a function or a property
	operator             // ! == != < <= > >= && ||
	mark                 // ( ) [ ] , . *
)

// marks are the punctuation of expressions.
const marks = "()[],.*"

// operators, the longer ones first.
var operators = []string{"==", "!=", "<=", ">=", "&&", "||", "!", "<", ">"}

// A lexer splits an expression into tokens.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Tokens/LexicalAnalyzer.cs
type lexer struct {
	source string
	at     int
	last   token
}

// next returns the next token. An error names the invalid text and its position.
func (l *lexer) next() (token, error) {
	rest := strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace)
	l.at = len(l.source) - len(rest)
	t, err := l.read(rest)
	l.at, l.last = l.at+len(t.text), t
	return t, err
}

func (l *lexer) read(rest string) (token, error) {
	t := token{at: l.at}
	if rest == "" {
		return t, nil
	}
	c := rest[0]
	switch {
	case c == '\'':
		return l.readText(rest)
	case c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.' && !l.afterValue():
		return l.readNumber(rest)
	case strings.IndexByte(marks, c) >= 0:
		t.kind, t.text = mark, rest[:1]
		return t, nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			t.kind, t.text = operator, op
			return t, nil
		}
	}
	return l.readName(rest)
}

// afterValue reports whether a dot after the last token reads a property of it, and
// begins no number.
func (l *lexer) afterValue() bool {
	switch l.last.kind {
	case literal, name:
		return true
	case mark:
		return strings.Contains(")]*", l.last.text)
	}
	return false
}

// readText reads a text in quotes, in which a doubled quote is one.
func (l *lexer) readText(rest string) (token, error) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] != '\'':
			b.WriteByte(rest[i])
		case i+1 < len(rest) && rest[i+1] == '\'':
			b.WriteByte('\'')
			i++
		default:
			return token{literal, rest[:i+1], l.at, b.String()}, nil
		}
	}
	return token{text: rest, at: l.at}, fmt.Errorf("string literal %.40s at position %d: want ' at its end", rest, l.at+1)
}

// readNumber reads a number, to the next place where no word goes on.
func (l *lexer) readNumber(rest string) (token, error) {
	text := rest[:1] + wordOf(rest[1:], ".")
	n := parseNumber(text)
	if math.IsNaN(n) {
		return token{text: text, at: l.at}, l.unexpected(text)
	}
	return token{literal, text, l.at, n}, nil
}

// readName reads a name, or a literal that is a word. Those tell case apart.
func (l *lexer) readName(rest string) (token, error) {
	text := wordOf(rest, "")
	if !isName(text) {
		text = cmp.Or(text, string([]rune(rest)[:1]))
		return token{text: text, at: l.at}, l.unexpected(text)
	}
	if l.last.kind == mark && l.last.text == "." {
		return token{kind: name, text: text, at: l.at}, nil
	}
	if v, found := words[text]; found {
		return token{literal, text, l.at, v}, nil
	}
	return token{kind: name, text: text, at: l.at}, nil
}

// words are the literals that are words.
var words = map[string]Value{"null": nil, "true": true, "false": false, "NaN": math.NaN(), "Infinity": math.Inf(1)}

func (l *lexer) unexpected(text string) error {
	return fmt.Errorf("unexpected symbol %q at position %d: want a name, a number or a text in single quotes", text, l.at+1)
}

// wordOf gives the begin of rest up to where a word ends; what is in also does not
// end it.
func wordOf(rest, also string) string {
	for i, r := range rest {
		if unicode.IsSpace(r) || strings.ContainsRune("()[],.!><=&|", r) && !strings.ContainsRune(also, r) {
			return rest[:i]
		}
	}
	return rest
}

// isName reports whether text is a name: letters, digits, _ and -, not beginning with
// a digit or -.
func isName(text string) bool {
	for i, c := range []byte(text) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return text != ""
}
