package event

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// FlatLabels returns labels as one string that [ParseLabels] reads: joined by commas, with special
// characters escaped as in URLs, so that a label with a comma stays one label. The result has no
// quotes and backslashes, because EventBridge inserts it into a JSON string without escaping.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func FlatLabels(labels []string) string {
	flat := make([]string, len(labels))
	for i, l := range labels {
		flat[i] = escape(l)
	}
	return strings.Join(flat, ",")
}

// noLetters stands for an empty label, which would otherwise disappear.
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

// escaped reports whether c has a meaning in the flat text, in JSON or in a template.
func escaped(c byte) bool { return c < ' ' || c == 0x7f || strings.IndexByte(`%,"\<>`, c) >= 0 }

// ParseLabels returns the labels in the result of [FlatLabels], nil for "". It also reads strings of
// earlier versions, which escaped nothing.
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

// How much of labels people see, because labels come from outside.
const (
	shownLabels = 20
	shownLetter = 100 // bytes of a label
)

// ShowLabels formats labels for people: quoted if they are not plain, so that "Small " differs from
// Small, and shortened if they are long.
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
