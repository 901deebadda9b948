package pattern

import "bytes"

// A glob is wildcard text, cut at its asterisks: what it matches begins with
// the first piece, ends with the last and holds the others between, in order.
type glob [][]byte

// match takes time in proportion to the length of text: the leftmost place for
// a piece leaves most room for the next, so nothing is tried twice.
func (g glob) match(text []byte) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return bytes.Equal(text, first)
	}
	if len(text) < len(first)+len(last) || !bytes.HasPrefix(text, first) || !bytes.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, piece := range g[1 : len(g)-1] {
		i := bytes.Index(text, piece)
		if i < 0 {
			return false
		}
		text = text[i+len(piece):]
	}
	return true
}
