package pattern

import (
	"errors"
	"github.com/mayfly-ci/mayfly/internal/event/scan"
	"strings"
	"testing"
)

// TestSyntaxError has patterns that are refused, and what is said about them.
func TestSyntaxError(t *testing.T) {
	tests := []struct{ src, want string }{
		{``, `line 1, column 1: the text ends here: want a JSON value`},
		{`[]`, `line 1, column 1: a list: want an object, such as {"source": ["github.com"]}`},
		{`{}`, `line 1, column 1: an empty object: want at least one field`},
		{`{"detail":{}}`, `line 1, column 11: detail: an empty object: want at least one field`},
		{`{"a":[1]} x`, `line 1, column 11: 'x' is not valid JSON here: want nothing after the pattern's closing brace`},
		{`{"a":[1]`, `line 1, column 9: the text ends here: want "," or "}"`},
		{`{"a" [1]}`, `line 1, column 6: '[' is not valid JSON here: want ":" after the name`},
		{`{a:[1]}`, `line 1, column 2: 'a' is not valid JSON here: want a name in double quotes`},
		{`{"a":[1,]}`, `line 1, column 9: ']' is not valid JSON here: want a JSON value`},
		{`{"a":["\x"]}`, `line 1, column 8: '\\' is not valid JSON here: want a string with valid escapes, closed by a double quote`},
		{"{\n  \"ü\": [1],\n  \"a\": \"queued\"\n}", `line 3, column 8: a: string "queued": want a list, such as ["queued"], or an object`},
		{`{"ü":1}`, `line 1, column 6: ü: number 1: want a list, such as [1], or an object`},
		{`{"a":{"b":[]}}`, `line 1, column 11: a.b: an empty list: want at least one value`},
		{`{"a":[[1]]}`, `line 1, column 7: a: a list: want a string, a number, true, false, null or a match expression`},
		{`{"a":[{}]}`, `line 1, column 7: a: an empty object: want an operator, such as {"prefix": "a"}`},
		{`{"a":[{"prefixx":"q"}]}`, `line 1, column 8: a: unknown operator "prefixx": want one of exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists, cidr`},
		{`{"a":[{"prefix":"q","suffix":"r"}]}`, `line 1, column 21: a: a second operator "suffix" in one match expression: want one operator; each gets an object of its own in the list`},
		{`{"a":[{"prefix":1}]}`, `line 1, column 17: a: number 1 of "prefix": want a string`},
		{`{"a":[{"prefix":{"equals-ignore-case":1}}]}`, `line 1, column 39: a: number 1 of "equals-ignore-case": want a string`},
		{`{"a":[{"suffix":{"prefix":"x"}}]}`, `line 1, column 18: a: "prefix" inside "suffix": want "equals-ignore-case"`},
		{`{"a":[{"wildcard":"a**"}]}`, `line 1, column 19: a: wildcard "a**" has two asterisks in a row: want one asterisk, which already matches any text`},
		{`{"a":[{"wildcard":"a\\b"}]}`, `line 1, column 19: a: wildcard "a\\b" has a backslash before neither * nor \: want \* for an asterisk, \\ for a backslash`},
		{`{"a":[{"wildcard":"a\\"}]}`, `line 1, column 19: a: wildcard "a\\" has a backslash before neither * nor \: want \* for an asterisk, \\ for a backslash`},
		{`{"a":[{"exists":"yes"}]}`, `line 1, column 17: a: string "yes" of "exists": want true or false`},
		{`{"a":[{"cidr":"10.0.0.5/32"}]}`, `line 1, column 15: a: string "10.0.0.5/32": want an address and 0–31 or 0–127 bits, such as "10.0.0.0/24" or "2001:db8::/32"`},
		{`{"a":[{"anything-but":true}]}`, `line 1, column 23: a: true of "anything-but": want a string, a number, a list of either, or an operator`},
		{`{"a":[{"anything-but":[]}]}`, `line 1, column 23: a: an empty list: want at least one value`},
		{`{"a":[{"anything-but":["x",1]}]}`, `line 1, column 28: a: number 1 beside string "x" in "anything-but": want all strings or all numbers`},
		{`{"a":[{"anything-but":{"prefix":""}}]}`, `line 1, column 33: a: an empty prefix in "anything-but" matches nothing: want some text`},
		{`{"a":[{"anything-but":{"numeric":["=",1]}}]}`, `line 1, column 24: a: "numeric" inside "anything-but": want prefix, suffix, equals-ignore-case or wildcard`},
		{`{"a":[{"numeric":[]}]}`, `line 1, column 18: a: a list of "numeric": want a list such as [">=", 1, "<", 5] or ["=", 3]`},
		{`{"a":[{"numeric":["!=",1]}]}`, `line 1, column 19: a: string "!=" at this place of "numeric": want one of = < <= > >=`},
		{`{"a":[{"numeric":["<",1,">",0]}]}`, `line 1, column 19: a: string "<" at this place of "numeric": want one of > >=`},
		{`{"a":[{"numeric":[">",1,"<",1]}]}`, `line 1, column 18: a: a range of "numeric" that holds nothing or one number: want a lower bound below the upper; ["=", n] for one number`},
		{`{"a":[{"numeric":["=",5000000001]}]}`, `line 1, column 23: a: number 5000000001: want a number from -5,000,000,000 to 5,000,000,000 with at most 6 decimals`},
		{`{"a":[{"numeric":["=",1e-7]}]}`, `line 1, column 23: a: number 1e-7: want a number from -5,000,000,000 to 5,000,000,000 with at most 6 decimals`},
		{`{"$or":[]}`, `line 1, column 8: a list of "$or": want a list of at least two objects`},
		{`{"$or":[{"a":[1]}]}`, `line 1, column 8: a list of "$or": want a list of at least two objects`},
		{`{"$or":[{"a":[1]},2]}`, `line 1, column 19: number 2 in "$or": want an object`},
		{`{"$or":[{"a":[1]},{"prefix":["x"]}]}`, `line 1, column 20: "prefix" inside "$or": want names of fields; a match expression goes into a field's list`},
	}
	for _, test := range tests {
		p, err := Parse([]byte(test.src))
		var fault *SyntaxError
		if !errors.As(err, &fault) || p != nil {
			t.Errorf("%s: got %v, want a *SyntaxError", test.src, err)
		} else if fault.Error() != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.src, fault, test.want)
		}
	}
}

// TestParseBounds has patterns made to take much time or memory.
func TestParseBounds(t *testing.T) {
	or := `"$or":[{"a":[1]},{"b":[2]}]`
	twice := func(name string) string { return `"` + name + `":{` + or + `},` }
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"` + strings.Repeat("f", i+1) + `":[1],`)
		}
		return `{` + b.String() + `"g":[1]}`
	}
	tests := []struct{ name, src, want string }{
		{"size", `{"a":["` + strings.Repeat("x", maxSource) + `"]}`, "262154 bytes: want at most 262144"},
		{"depth", strings.Repeat(`{"a":`, scan.MaxDepth+1), "nesting is too deep: want at most 1000 levels"},
		{"depth of lists", `{"a":` + strings.Repeat(`[`, 200_000), "nesting is too deep: want at most 1000 levels"},
		{"fields", fields(maxFields), "257 fields: want at most 256"},
		{"combinations", `{` + twice("c") + twice("d") + twice("e") + twice("f") + twice("g") + twice("h") + twice("i") + twice("j") + twice("k") + or + `}`,
			`more than 1000 combinations by "$or": want fewer alternatives`},
	}
	for _, test := range tests {
		if _, err := Parse([]byte(test.src)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Parse([]byte(fields(maxFields - 1))); err != nil {
		t.Errorf("%d fields: %v", maxFields, err)
	}
}
