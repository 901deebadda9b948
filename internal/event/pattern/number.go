package pattern

// Numbers are compared as AWS's engine compares them: exactly, as a count of
// millionths, within ±5,000,000,000. A number outside of that, or with more
// than six decimals, is not a number to any operator; it only equals a literal
// written the same way.
// https://github.com/aws/event-ruler#numeric-matching
const (
	decimals    = 6
	maxMicros   = 5_000_000_000 * 1_000_000
	minMicros   = -maxMicros
	maxDigits   = 16 // of maxMicros
	maxExponent = 1 << 16
)

// micros returns the JSON number literal in millionths, or false if the engine
// cannot compare it.
func micros(literal []byte) (int64, bool) {
	negative := len(literal) > 0 && literal[0] == '-'
	if negative {
		literal = literal[1:]
	}
	n, exponent, ok := significand(literal)
	if n == 0 || !ok {
		return 0, ok
	}
	for exponent += decimals; exponent > 0 && n <= maxMicros; exponent-- {
		n *= 10
	}
	if exponent < 0 || n > maxMicros {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// significand returns n and exponent such that the unsigned literal is
// n × 10^exponent and n does not end in 0, unless it is 0. It reports false for
// more digits than a comparable number has.
func significand(literal []byte) (n int64, exponent int, ok bool) {
	i, fraction, zeros, digits := 0, 0, 0, 0
	for ; i < len(literal) && literal[i]|0x20 != 'e'; i++ {
		if literal[i] == '.' {
			fraction = 1
			continue
		}
		exponent -= fraction
		if literal[i] == '0' {
			zeros++ // counted only if another digit follows: trailing zeros do not matter
			continue
		}
		if n != 0 {
			digits += zeros
		}
		if digits++; digits > maxDigits {
			return 0, 0, false
		}
		for ; zeros > 0 && n != 0; zeros-- {
			n *= 10
		}
		zeros = 0
		n = n*10 + int64(literal[i]-'0')
	}
	return n, exponent + zeros + exponentOf(literal[i:]), true
}

// exponentOf reads the exponent, such as e-3, or nothing. Beyond ±65,536 it
// stops counting: no event is large enough for the digits that would bring such
// a number back into range.
func exponentOf(literal []byte) int {
	exponent, sign := 0, 1
	for _, c := range literal {
		switch {
		case c == '-':
			sign = -1
		case '0' <= c && c <= '9' && exponent < maxExponent:
			exponent = exponent*10 + int(c-'0')
		}
	}
	return sign * exponent
}
