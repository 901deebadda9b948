package pattern

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// A SyntaxError is a mistake in a pattern: where it is, what is there and what
// was expected. It is the only kind of error that Parse returns.
type SyntaxError struct {
	Line, Column int    // both from 1; Column counts characters
	Path         string // of the field, such as "detail.action"; "" at the top
	Reason       string // what is there, such as `unknown operator "prefixx"`
	Want         string // what was expected
}

// Error returns line and column, path, reason and what was expected.
func (e *SyntaxError) Error() string {
	path := e.Path
	if path != "" {
		path += ": "
	}
	return fmt.Sprintf("line %d, column %d: %s%s: want %s", e.Line, e.Column, path, e.Reason, e.Want)
}

// faultAt returns the error for the byte at offset at of src.
func faultAt(src []byte, at int, path, reason, want string) *SyntaxError {
	before := src[:min(at, len(src))]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return &SyntaxError{
		Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(line) + 1,
		Path: path, Reason: reason, Want: want,
	}
}
