package pattern

import "unicode"

// A folded is text to be compared ignoring case, one entry for each character:
// what it may look like. As in AWS's engine that is its lower and its upper
// case, one of which may be more than one character: "ß" is met by "ß" and "SS".
type folded []struct{ lower, upper string }

func fold(text string) folded {
	f := make(folded, 0, len(text))
	for _, r := range text {
		f = append(f, struct{ lower, upper string }{lowerCase(r), upperCase(r)})
	}
	return f
}

// prefixOf returns how many bytes of text f takes up at its start, or -1.
func (f folded) prefixOf(text []byte) int {
	rest := text
	for _, c := range f {
		switch {
		case hasPrefix(rest, c.lower):
			rest = rest[len(c.lower):]
		case hasPrefix(rest, c.upper):
			rest = rest[len(c.upper):]
		default:
			return -1
		}
	}
	return len(text) - len(rest)
}

func (f folded) suffixOf(text []byte) bool {
	for i := len(f) - 1; i >= 0; i-- {
		switch c := f[i]; {
		case hasSuffix(text, c.lower):
			text = text[:len(text)-len(c.lower)]
		case hasSuffix(text, c.upper):
			text = text[:len(text)-len(c.upper)]
		default:
			return false
		}
	}
	return true
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }
func hasSuffix(b []byte, s string) bool { return len(b) >= len(s) && string(b[len(b)-len(s):]) == s }

// lowerCase and upperCase add to package unicode the characters of Latin and
// Armenian script whose other case is more than one character.
// https://www.unicode.org/Public/UCD/latest/ucd/SpecialCasing.txt
func lowerCase(r rune) string {
	if r == 'İ' {
		return "i̇"
	}
	return string(unicode.ToLower(r))
}

func upperCase(r rune) string {
	switch r {
	case 'ß':
		return "SS"
	case 'ŉ':
		return "ʼN"
	case 'ǰ':
		return "J̌"
	case 'և':
		return "ԵՒ"
	case 'ẖ':
		return "H̱"
	case 'ẗ':
		return "T̈"
	case 'ẘ':
		return "W̊"
	case 'ẙ':
		return "Y̊"
	case 'ẚ':
		return "Aʾ"
	case 'ﬀ':
		return "FF"
	case 'ﬁ':
		return "FI"
	case 'ﬂ':
		return "FL"
	case 'ﬃ':
		return "FFI"
	case 'ﬄ':
		return "FFL"
	case 'ﬅ', 'ﬆ':
		return "ST"
	}
	return string(unicode.ToUpper(r))
}
