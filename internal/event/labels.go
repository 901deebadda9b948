package event

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// FlatLabels gives labels as one text that [ParseLabels] reads: joined by commas, with what is
// not plain in a label escaped as in URLs, so that a label with a comma stays one. There is
// no quote and no backslash in it: EventBridge puts it into a template's text as it is.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func FlatLabels(labels []string) string {
	flat := make([]string, len(labels))
	for i, l := range labels {
		flat[i] = escape(l)
	}
	return strings.Join(flat, ",")
}

// noLetters stands for the empty label, which would be no label at all.
const noLetters = "%"

func escape(label string) string {
	if label == "" {
		return noLetters
	}
	var b strings.Builder
	for i := range len(label) {
		if c := label[i]; escaped(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escaped reports whether c means something in the flat text, in JSON or in a template.
func escaped(c byte) bool { return c < ' ' || c == 0x7f || strings.IndexByte(`%,"\<>`, c) >= 0 }

// ParseLabels reads what [FlatLabels] gave; nil for "". A text of an earlier version, which
// escaped nothing, gives its labels, too.
func ParseLabels(flat string) []string {
	if flat == "" {
		return nil
	}
	labels := strings.Split(flat, ",")
	for i, l := range labels {
		if l == noLetters {
			labels[i] = ""
		} else if plain, err := url.PathUnescape(l); err == nil {
			labels[i] = plain
		}
	}
	return labels
}

// How much of labels a person is shown: they come from outside.
const (
	shownLabels = 20
	shownLetter = 100 // bytes of a label
)

// ShowLabels gives labels for a person: quoted where they are not plain, so that "Small " is told
// from Small, and cut where they are long.
func ShowLabels(labels []string) string {
	var shown []string
	for i, l := range labels {
		if i == shownLabels {
			shown = append(shown, fmt.Sprintf("and %d more", len(labels)-i))
			break
		}
		shown = append(shown, showLabel(l))
	}
	return strings.Join(shown, ", ")
}

func showLabel(l string) string {
	cut := ""
	if len(l) > shownLetter {
		l, cut = strings.ToValidUTF8(l[:shownLetter], ""), "…"
	}
	odd := func(r rune) bool { return r <= ' ' || r == ',' || r == '"' || !strconv.IsPrint(r) }
	if l == "" || strings.ContainsFunc(l, odd) {
		l = strconv.Quote(l)
	}
	return l + cut
}
