package pattern

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest, in patterns and in events;
// EventBridge's PutEvents has the same limit.
const maxDepth = 1000

// A scanner walks over JSON without building anything from it. Its methods
// report false at the first byte that is not JSON; pos is then where that is.
type scanner struct {
	data []byte
	pos  int
}

// peek skips white space and returns the byte after it, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		if c := s.data[s.pos]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// take skips white space and then c, if it is c that follows.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// more stands after a member of an object or an element of an array that ends
// with closing: it reports whether another follows.
func (s *scanner) more(closing byte) (more, ok bool) {
	c := s.peek()
	if c != ',' && c != closing {
		return false, false
	}
	s.pos++
	return c == ',', true
}

// name reads the name of a member and the colon after it.
func (s *scanner) name() (raw []byte, escaped, ok bool) {
	if s.peek() != '"' {
		return nil, false, false
	}
	raw, escaped, ok = s.text()
	return raw, escaped, ok && s.take(':')
}

// text reads a string whose opening quote is at pos. It returns what is between
// the quotes as it is written, and whether that holds escapes (see unescape).
func (s *scanner) text() (raw []byte, escaped, ok bool) {
	start := s.pos + 1
	s.pos = plain(s.data, start)
	for s.pos < len(s.data) {
		switch {
		case s.data[s.pos] == '"':
			s.pos++
			return s.data[start : s.pos-1], escaped, true
		case s.data[s.pos] != '\\' || !s.escape():
			return nil, false, false
		}
		escaped = true
		s.pos = plain(s.data, s.pos)
	}
	return nil, false, false
}

// escape skips the escape sequence at pos.
func (s *scanner) escape() bool {
	if s.pos+1 >= len(s.data) {
		return false
	}
	switch s.data[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return true
	case 'u':
		if _, ok := hex4(s.data[s.pos+2:]); ok {
			s.pos += 6
			return true
		}
	}
	return false
}

const (
	everyByte = 0x0101010101010101
	topBits   = 0x8080808080808080
)

// plain returns the index of the first byte of data, from i on, that cannot
// stand in a string by itself: a quote, a backslash or a control character.
// Eight bytes are looked at together, because most of an event is strings that
// no pattern asks for.
func plain(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, slash := w^everyByte*'"', w^everyByte*'\\'
		// The lowest bit set is exact; a borrow can only mark bytes above it.
		special := ((quote-everyByte)&^quote | (slash-everyByte)&^slash | (w-everyByte*' ')&^w) & topBits
		if special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for i < len(data) && data[i] != '"' && data[i] != '\\' && data[i] >= ' ' {
		i++
	}
	return i
}

// skip skips one value of any kind.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); c {
	case '"':
		_, _, ok := s.text()
		return ok
	case '{':
		return s.skipObject(depth + 1)
	case '[':
		return s.skipArray(depth + 1)
	default:
		_, ok := s.literal(c)
		return ok
	}
}

func (s *scanner) skipObject(depth int) bool {
	s.pos++
	if depth > maxDepth {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		if _, _, ok := s.name(); !ok || !s.skip(depth) {
			return false
		}
		if more, ok := s.more('}'); !more || !ok {
			return ok
		}
	}
}

func (s *scanner) skipArray(depth int) bool {
	s.pos++
	if depth > maxDepth {
		return false
	}
	if s.take(']') {
		return true
	}
	for {
		if !s.skip(depth) {
			return false
		}
		if more, ok := s.more(']'); !more || !ok {
			return ok
		}
	}
}

// literal reads a number, true, false or null that begins with c at pos.
func (s *scanner) literal(c byte) ([]byte, bool) {
	switch c {
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	start := s.pos
	if c == '-' {
		s.pos++
	}
	switch {
	case s.pos < len(s.data) && s.data[s.pos] == '0':
		s.pos++
	case !s.digits():
		return nil, false
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		if s.pos++; !s.digits() {
			return nil, false
		}
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		if s.pos++; s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return nil, false
		}
	}
	return s.data[start:s.pos], true
}

func (s *scanner) word(w string) ([]byte, bool) {
	end := s.pos + len(w)
	if end > len(s.data) || string(s.data[s.pos:end]) != w {
		return nil, false
	}
	word := s.data[s.pos:end]
	s.pos = end
	return word, true
}

// digits skips a run of at least one digit.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// unescape appends to b the string that raw, as returned by text, stands for.
// Half of a surrogate pair becomes U+FFFD, as in encoding/json.
func unescape(b, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b = append(b, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, size := unescapeRune(raw[i+1:])
			b = utf8.AppendRune(b, r)
			i += size
		default: // quote, backslash, slash
			b = append(b, raw[i])
		}
	}
	return b
}

// unescapeRune reads the digits after \u, and the other half of a surrogate
// pair where there is one, and returns how many bytes that took.
func unescapeRune(digits []byte) (rune, int) {
	r, _ := hex4(digits)
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	if len(digits) >= 10 && digits[4] == '\\' && digits[5] == 'u' {
		low, _ := hex4(digits[6:])
		if pair := utf16.DecodeRune(r, low); pair != unicode.ReplacementChar {
			return pair, 10
		}
	}
	return unicode.ReplacementChar, 4
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
