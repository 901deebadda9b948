package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"build (linux, 3.12) – ünïcode 漢字 🚀": "build (linux, 3.12) – ünïcode 漢字 🚀",
		"❤️":                        "❤️",
		"a\u202egnp.exe":            `a\u202egnp.exe`,
		"\u2066a\u2069":             `\u2066a\u2069`,
		"ad\u200bmin\ufeff":         `ad\u200bmin\ufeff`,
		"one\u2028two\u2029":        `one\u2028two\u2029`,
		"one\r\ntwo\tthree":         `one\r\ntwo\tthree`,
		"\x1b[31mred\x00\x7f\u0085": `\u001b[31mred\u0000\u007f\u0085`,
		"\u00adsoft\u00a0hard":      `\u00adsoft\u00a0hard`,
		"\u3164\u115f\u2800":        `\u3164\u115f\u2800`,
		"\U000e0041\U000e0100":      `\udb40\udc41\udb40\udd00`,
		"bro\xffken":                "bro\ufffdken",
		"":                          "",
	} {
		if got := Printable(text); got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
	if got := Printable(strings.Repeat("ü", 10<<20)); len(got) > 2100 || !strings.HasSuffix(got, "ü… (20971520 bytes)") {
		t.Errorf("20 MB: %d bytes, ending in %q", len(got), got[len(got)-30:])
	}
	if exact := strings.Repeat("ü", maxShown); Printable(exact) != exact {
		t.Errorf("%d characters are cut", maxShown)
	}
}

// TestNothingHiddenIsPrinted prints any text in each way there is.
func TestNothingHiddenIsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.Rune()).Draw(t, "text")
		var out bytes.Buffer
		s := &Screen{Out: plain{w: &out}, Err: plain{w: &out}}
		s.Table([]string{"A", "B"}, [][]Cell{Text(text, "x")})
		s.Fail(Hint(errors.New(text), "%s", text))
		s.Notef("%s", text)
		for _, r := range strings.Map(func(r rune) rune {
			if r == '\n' || r == '\t' {
				return -1
			}
			return r
		}, out.String()) {
			if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
				t.Fatalf("%q is printed of %q", r, text)
			}
		}
		out.Reset()
		if err := s.JSON(map[string]string{"name": text}); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != strings.ToValidUTF8(text, "\ufffd") {
			t.Fatalf("%q comes back from JSON as %q, %v", text, back["name"], err)
		}
	})
}

// TestOwnSequences: colours and lines that rewrite themselves are for terminals only.
func TestOwnSequences(t *testing.T) {
	text := eraseLine + "\x1b[31mred\x1b[0m \x1b[2J"
	for terminal, want := range map[bool]string{
		true:  eraseLine + "\x1b[31mred\x1b[0m " + `\u001b[2J`,
		false: `\r\u001b[K\u001b[31mred\u001b[0m \u001b[2J`,
	} {
		var out bytes.Buffer
		if n, err := (plain{&out, terminal}).Write([]byte(text)); n != len(text) || err != nil || out.String() != want {
			t.Errorf("terminal %v: %q, %d, %v; want %q", terminal, out.String(), n, err, want)
		}
	}
}
