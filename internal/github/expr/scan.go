package expr

import (
	"fmt"
	"strconv"
	"strings"
)

type kind int

const (
	end kind = iota
	name
	literal // number or string
	symbol
)

type token struct {
	kind  kind
	text  string
	value any // of a literal
}

// symbols, the longer before those that they begin with.
var symbols = [...]string{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"}

func scan(s string) ([]token, error) {
	var tokens []token
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return append(tokens, token{kind: end, text: "end"}), nil
		}
		t, n, err := next(s, tokens)
		if err != nil {
			return nil, err
		}
		tokens, s = append(tokens, t), s[n:]
	}
}

// next reads the token that s begins with, and how long it is.
func next(s string, before []token) (token, int, error) {
	afterDot := len(before) > 0 && before[len(before)-1].text == "."
	switch c := s[0]; {
	case c == '\'':
		return quoted(s)
	case letter(c):
		n := 1
		for n < len(s) && (letter(s[n]) || digit(s[n]) || s[n] == '-') {
			n++
		}
		return token{kind: name, text: s[:n]}, n, nil
	case digit(c) || !afterDot && (c == '-' || c == '+' || c == '.' && len(s) > 1 && digit(s[1])):
		if c == '.' && len(before) > 0 && before[len(before)-1].kind == name {
			break
		}
		return number(s)
	}
	for _, sym := range symbols {
		if strings.HasPrefix(s, sym) {
			return token{kind: symbol, text: sym}, len(sym), nil
		}
	}
	return token{}, 0, fmt.Errorf("unexpected %q", s[:1])
}

func letter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

// quoted reads a string; in it a quote is written twice.
func quoted(s string) (token, int, error) {
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			i++
			continue
		}
		return token{literal, s[:i+1], strings.ReplaceAll(s[1:i], "''", "'")}, i + 1, nil
	}
	return token{}, 0, fmt.Errorf("string %s without its closing quote", s)
}

func number(s string) (token, int, error) {
	n := 1
	for n < len(s) && (digit(s[n]) || letter(s[n]) || s[n] == '.' || (s[n] == '-' || s[n] == '+') && s[n-1]|0x20 == 'e') {
		n++
	}
	f, ok := parseNumber(s[:n])
	if !ok {
		return token{}, 0, fmt.Errorf("%q: want a number", s[:n])
	}
	return token{literal, s[:n], f}, n, nil
}

// parseNumber reads decimal, 0x and 0o forms.
func parseNumber(s string) (float64, bool) {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o') {
		i, err := strconv.ParseInt(s, 0, 64)
		return float64(i), err == nil
	}
	if strings.ContainsAny(s, "xXpP_iInN") { // what only Go takes for a number
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
