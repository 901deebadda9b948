package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxShown is how many characters of a text from outside are shown. GitHub's own names are
// shorter, but a label may have 10 MB.
const maxShown = 1000

// Printable returns text as one line, truncated if it is long, with control characters, changes
// of text direction and invisible characters escaped as in JSON (a line end as \n). Names of
// branches, jobs and labels come from repositories and may contain any of these, to make a
// terminal show something that is not there.
func Printable(text string) string {
	if n := len(text); n > maxShown && utf8.RuneCountInString(text) > maxShown {
		return printable(fmt.Sprintf("%.*s", maxShown, text)) + fmt.Sprintf("… (%d bytes)", n)
	}
	return printable(text)
}

func printable(text string) string {
	if strings.IndexFunc(text, hidden) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text { // what is not UTF-8 becomes U+FFFD
		if hidden(r) {
			b.WriteString(escape(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden reports whether r is invisible or changes how its neighbours look: control characters, text
// direction (U+202E, U+2066), zero width (U+200B), line separators (U+2028), spaces of other widths. Unicode
// also classifies some invisible characters as letters, marks and symbols.
func hidden(r rune) bool {
	const emoji, braille = '\ufe0f', '\u2800' // selects an emoji's coloured form; a Braille pattern without dots
	return !unicode.IsPrint(r) || r == braille ||
		r != emoji && unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escape writes r as JSON does, so that escaped JSON still has the same value.
func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if first, second := utf16.EncodeRune(r); first != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, first, second)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// A plain is a writer that escapes hidden characters. It is the last line of defence, for text
// that did not go through [Printable]. It passes line ends, tabs and this package's own terminal
// sequences. A character must not be split between two Writes.
type plain struct {
	w        io.Writer
	terminal bool
}

// Write implements io.Writer.
func (p plain) Write(text []byte) (int, error) {
	if bytes.IndexFunc(text, hidden) < 0 && utf8.Valid(text) {
		return p.w.Write(text)
	}
	var b bytes.Buffer
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if own := ownSequence(rest); p.terminal && own > 0 {
			size = own
			b.Write(rest[:own])
		} else if r == '\n' || r == '\t' || !hidden(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escape(r))
		}
		rest = rest[size:]
	}
	if _, err := p.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// eraseLine clears the terminal's current line.
const eraseLine = "\r\x1b[K"

// ownSequence returns the length of the terminal sequence of this package that text begins with: a
// colour of [Screen.Paint], or eraseLine. It is 0 for any other sequence, which is escaped.
func ownSequence(text []byte) int {
	if bytes.HasPrefix(text, []byte(eraseLine)) {
		return len(eraseLine)
	}
	after, ok := bytes.CutPrefix(text, []byte("\x1b["))
	if !ok {
		return 0
	}
	if end := bytes.IndexByte(after[:min(3, len(after))], 'm'); end > 0 {
		return len("\x1b[") + end + 1
	}
	return 0
}
