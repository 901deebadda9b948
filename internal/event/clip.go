package event

import (
	"fmt"
	"strings"
)

// MaxSaid bounds, in bytes, a message that is sent, logged or stored and may quote text from outside:
// a single label may fill a whole request body.
const MaxSaid = 500

// Clip returns text, or a part of it followed by its length, together at most most bytes. Clipping a
// clipped text again does not change it.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := fmt.Sprintf("… (%d bytes)", len(text))
	return strings.ToValidUTF8(text[:max(0, most-len(cut))], "") + cut
}
