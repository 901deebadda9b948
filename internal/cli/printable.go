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

// maxShown is how much of a text from outside is shown, in characters: GitHub's own names are
// shorter, and a label may have 10 MB.
const maxShown = 1000

// Printable returns text on one line, without characters that move the cursor, turn the direction of what
// follows or are not to be seen, and cut when it is long. These may come from a repository: names
// of branches, jobs and labels. They are shown as Go and JSON write them, a line end as \n.
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

// hidden reports whether r is no character that is seen: a control character, one for the direction of
// text (U+202E, U+2066), one without width (U+200B), the end of a line (U+2028), a space of another width. Some
// that Unicode has among letters, marks and symbols are not seen, either.
func hidden(r rune) bool {
	const emoji, braille = '\ufe0f', '\u2800' // how an emoji is shown; six dots that are not there
	return !unicode.IsPrint(r) || r == braille ||
		r != emoji && unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escape writes r as JSON does, so that JSON stays the same JSON.
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

// A plain writes what is printed, and as [escape] says what is hidden in it: the last
// line of defence, for what did not go through [Printable]. Lines and tabs are what they are, and
// so is what this package sends to a terminal. Each Write has whole characters.
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

// eraseLine has the line on a terminal begin anew.
const eraseLine = "\r\x1b[K"

// ownSequence returns the length of what text begins with of this package's own: a colour of
// [Screen.Paint], or eraseLine.
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
