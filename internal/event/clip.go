package event

import (
	"fmt"
	"strings"
)

// MaxSaid is how many bytes a sentence has at most that is answered, logged or kept and may repeat
// what came from outside: a label may have as many bytes as a body.
const MaxSaid = 500

// Clip returns text, or as much of it as makes most bytes with how long it was, so that clipping
// twice is clipping once.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := fmt.Sprintf("… (%d bytes)", len(text))
	return strings.ToValidUTF8(text[:max(0, most-len(cut))], "") + cut
}
