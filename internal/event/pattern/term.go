package pattern

import "net/netip"

// kind is the kind of a scalar, as operators distinguish them.
type kind uint8

const (
	isText    kind = iota // a string
	isNumber              // a number that can be compared, see micros
	isLiteral             // true, false, null, or a number that cannot be compared
	isAddress             // a string that is an IP address, where a pattern asks for addresses
)

// A value is a scalar of an event.
type value struct {
	kind    kind
	text    []byte // of a string, without quotes and escapes; else as written
	micros  int64  // of a number, in millionths
	address netip.Addr
}

// A term is one operator of a pattern with its operand, compiled.
type term interface{ match(v *value) bool }

type (
	exact        string                 // {"exactly": …} inside {"anything-but": …}
	equal        int64                  // a number, in millionths
	between      [2]int64               // {"numeric": …}: from, to, both inclusive, in millionths
	prefix       string                 // {"prefix": …}
	suffix       string                 // {"suffix": …}
	foldedExact  struct{ folded }       // {"equals-ignore-case": …}
	foldedPrefix struct{ folded }       // {"prefix": {"equals-ignore-case": …}}
	foldedSuffix struct{ folded }       // {"suffix": {"equals-ignore-case": …}}
	wildcard     struct{ glob }         // {"wildcard": …}
	block        struct{ netip.Prefix } // {"cidr": …}, or an exact string that is an address
	except       []term                 // {"anything-but": …}
)

func (t exact) match(v *value) bool { return v.kind == isText && string(v.text) == string(t) }
func (t equal) match(v *value) bool { return v.kind == isNumber && v.micros == int64(t) }
func (t between) match(v *value) bool {
	return v.kind == isNumber && t[0] <= v.micros && v.micros <= t[1]
}
func (t prefix) match(v *value) bool { return v.kind == isText && hasPrefix(v.text, string(t)) }
func (t suffix) match(v *value) bool { return v.kind == isText && hasSuffix(v.text, string(t)) }

func (t foldedExact) match(v *value) bool {
	return v.kind == isText && t.prefixOf(v.text) == len(v.text)
}
func (t foldedPrefix) match(v *value) bool { return v.kind == isText && t.prefixOf(v.text) >= 0 }
func (t foldedSuffix) match(v *value) bool { return v.kind == isText && t.suffixOf(v.text) }
func (t wildcard) match(v *value) bool     { return v.kind == isText && t.glob.match(v.text) }
func (t block) match(v *value) bool        { return v.kind == isAddress && t.Contains(v.address) }

// match returns true for any value, including null and numbers, that is not
// listed. A missing field has no value, so match is not called for it.
func (t except) match(v *value) bool {
	for _, inner := range t {
		if inner.match(v) {
			return false
		}
	}
	return true
}
