// Package pattern is the rule language: the event patterns of Amazon
// EventBridge, compiled once and matched against the bytes of an event without
// decoding it. PATTERNS.md in this folder is the specification. Operators
// behave as in AWS's own engine.
// https://github.com/aws/event-ruler
//
// A [Pattern] is one pattern; a [Set] matches many patterns against an event in
// one pass. Time and memory are bounded by the sizes of pattern and event,
// whatever they contain. The package needs only the standard library and does
// no I/O.
package pattern

import "bytes"

// A Pattern is a compiled event pattern. It is immutable and safe for
// concurrent use. Its zero value is not a pattern; use [Parse].
type Pattern struct {
	src      []byte
	branches []branch
	matcher  *matcher
}

// Parse compiles the JSON of an event pattern, of at most 256 KiB. The error is a
// [*SyntaxError].
func Parse(src []byte) (*Pattern, error) {
	branches, err := parse(src)
	if err != nil {
		return nil, err
	}
	return &Pattern{src: bytes.Clone(src), branches: branches, matcher: newMatcher([][]branch{branches})}, nil
}

// Matches reports whether p matches event, the JSON of a whole event including
// the envelope. Anything but a JSON object matches no pattern.
func (p *Pattern) Matches(event []byte) bool {
	matched := false
	p.matcher.run(event, func(int) { matched = true })
	return matched
}

// String returns the JSON that p was parsed from.
func (p *Pattern) String() string { return string(p.src) }

// MarshalJSON returns the JSON that p was parsed from.
func (p *Pattern) MarshalJSON() ([]byte, error) { return bytes.Clone(p.src), nil }

// UnmarshalJSON parses a pattern; see [Parse] for the error.
func (p *Pattern) UnmarshalJSON(src []byte) error {
	parsed, err := Parse(src)
	if err != nil {
		return err
	}
	*p = *parsed
	return nil
}
