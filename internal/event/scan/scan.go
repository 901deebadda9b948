// Package scan walks over JSON without decoding it. All code on the hot path reads events with
// it, because it needs only a small part of each.
package scan

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest, in patterns and in events;
// EventBridge's PutEvents has the same limit.
const MaxDepth = 1000

// A Scanner reads Data from Pos on. Its methods report false at the first byte that is not
// valid JSON; Pos is then its offset.
type Scanner struct {
	Data []byte
	Pos  int
}

// Peek skips white space and returns the byte after it, or 0 at the end.
func (s *Scanner) Peek() byte {
	for ; s.Pos < len(s.Data); s.Pos++ {
		if c := s.Data[s.Pos]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// Take skips white space, and then c if that is the next byte.
func (s *Scanner) Take(c byte) bool {
	if s.Peek() != c {
		return false
	}
	s.Pos++
	return true
}

// More reports whether another member or element follows in an object or array that ends with
// closing. Call it after each one.
func (s *Scanner) More(closing byte) (more, ok bool) {
	c := s.Peek()
	if c != ',' && c != closing {
		return false, false
	}
	s.Pos++
	return c == ',', true
}

// Name reads the name of a member and the colon after it.
func (s *Scanner) Name() (raw []byte, escaped, ok bool) {
	if s.Peek() != '"' {
		return nil, false, false
	}
	raw, escaped, ok = s.Text()
	return raw, escaped, ok && s.Take(':')
}

// Text reads a string whose opening quote is at pos. It returns the text between the quotes as
// written, and whether that contains escapes (see [Unescape]).
func (s *Scanner) Text() (raw []byte, escaped, ok bool) {
	start := s.Pos + 1
	s.Pos = plain(s.Data, start)
	for s.Pos < len(s.Data) {
		switch {
		case s.Data[s.Pos] == '"':
			s.Pos++
			return s.Data[start : s.Pos-1], escaped, true
		case s.Data[s.Pos] != '\\' || !s.escape():
			return nil, false, false
		}
		escaped = true
		s.Pos = plain(s.Data, s.Pos)
	}
	return nil, false, false
}

// escape skips the escape sequence at pos.
func (s *Scanner) escape() bool {
	if s.Pos+1 >= len(s.Data) {
		return false
	}
	switch s.Data[s.Pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.Pos += 2
		return true
	case 'u':
		if _, ok := hex4(s.Data[s.Pos+2:]); ok {
			s.Pos += 6
			return true
		}
	}
	return false
}

const (
	everyByte = 0x0101010101010101
	topBits   = 0x8080808080808080
)

// plain returns the index of the first byte of data, from i on, that ends or interrupts a
// string: a quote, a backslash or a control character. It checks eight bytes at a time, because
// most of an event is strings that nobody asks for.
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

// Skip skips one value of any kind.
func (s *Scanner) Skip(depth int) bool {
	switch c := s.Peek(); c {
	case '"':
		_, _, ok := s.Text()
		return ok
	case '{':
		return s.skipObject(depth + 1)
	case '[':
		return s.skipArray(depth + 1)
	default:
		_, ok := s.Literal(c)
		return ok
	}
}

func (s *Scanner) skipObject(depth int) bool {
	s.Pos++
	if depth > MaxDepth {
		return false
	}
	if s.Take('}') {
		return true
	}
	for {
		if _, _, ok := s.Name(); !ok || !s.Skip(depth) {
			return false
		}
		if more, ok := s.More('}'); !more || !ok {
			return ok
		}
	}
}

func (s *Scanner) skipArray(depth int) bool {
	s.Pos++
	if depth > MaxDepth {
		return false
	}
	if s.Take(']') {
		return true
	}
	for {
		if !s.Skip(depth) {
			return false
		}
		if more, ok := s.More(']'); !more || !ok {
			return ok
		}
	}
}

// Literal reads a number, true, false or null that begins with c at pos.
func (s *Scanner) Literal(c byte) ([]byte, bool) {
	switch c {
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	start := s.Pos
	if c == '-' {
		s.Pos++
	}
	switch {
	case s.Pos < len(s.Data) && s.Data[s.Pos] == '0':
		s.Pos++
	case !s.digits():
		return nil, false
	}
	if s.Pos < len(s.Data) && s.Data[s.Pos] == '.' {
		if s.Pos++; !s.digits() {
			return nil, false
		}
	}
	if s.Pos < len(s.Data) && s.Data[s.Pos]|0x20 == 'e' {
		if s.Pos++; s.Pos < len(s.Data) && (s.Data[s.Pos] == '+' || s.Data[s.Pos] == '-') {
			s.Pos++
		}
		if !s.digits() {
			return nil, false
		}
	}
	return s.Data[start:s.Pos], true
}

func (s *Scanner) word(w string) ([]byte, bool) {
	end := s.Pos + len(w)
	if end > len(s.Data) || string(s.Data[s.Pos:end]) != w {
		return nil, false
	}
	word := s.Data[s.Pos:end]
	s.Pos = end
	return word, true
}

// digits skips a run of at least one digit.
func (s *Scanner) digits() bool {
	start := s.Pos
	for s.Pos < len(s.Data) && '0' <= s.Data[s.Pos] && s.Data[s.Pos] <= '9' {
		s.Pos++
	}
	return s.Pos > start
}

// Unescape appends raw, as returned by [Scanner.Text], to b, with escapes resolved. Half of a
// surrogate pair becomes U+FFFD, as in encoding/json.
func Unescape(b, raw []byte) []byte {
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

// unescapeRune reads the digits after \u, and the other half of a surrogate pair if present. It
// returns the number of bytes read.
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
