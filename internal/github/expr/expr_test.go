package expr_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

var scope = expr.Scope{
	Contexts: map[string]any{
		"github": map[string]any{"ref": "refs/heads/main", "run_id": "7", "event": map[string]any{"Number": 3.0}},
		"matrix": map[string]any{"os": "linux", "go-version": 1.26, "list": []any{"a", "B"}},
		"steps": map[string]any{
			"one": map[string]any{"outputs": map[string]any{"x": "1"}},
			"two": map[string]any{"outputs": map[string]any{"x": "2"}},
		},
		"env": map[string]any{},
	},
	Functions: map[string]func([]any) (any, error){
		"success": func([]any) (any, error) { return false, nil },
		"failure": func([]any) (any, error) { return true, nil },
		"always":  func([]any) (any, error) { return true, nil },
	},
}

func TestEval(t *testing.T) {
	for source, want := range map[string]any{
		// literals
		"null": nil, "true": true, "-1.5e2": -150.0, "0xff": 255.0, "'it''s'": "it's", "''": "",
		// operators, in their order
		"1 == 1.0": true, "'a' == 'A'": true, "'a' != 'b'": true, "null == 0": true, "'' == 0": true, "'x' == 0": false,
		"true == 1": true, "'10' > 9": true, "'a' < 'B'": true, "2 >= 2": true, "2 <= 1": false, "1 < 'x'": false,
		"!false": true, "!!'x'": true, "!(1 == 1)": false, "1 == 1 && 2 == 3 || 'yes'": "yes", "'a' || 'b'": "a",
		"'' || 'b'": "b", "'a' && 'b'": "b", "0 && 'b'": 0.0, "false && nosuch()": false,
		// contexts
		"github.ref": "refs/heads/main", "GITHUB.Ref": "refs/heads/main", "github['run_id']": "7", "github.event.number": 3.0,
		"github.nothing": nil, "github.nothing.more": nil, "matrix.go-version": 1.26, "matrix.list[1]": "B", "matrix.list[9]": nil,
		"steps.*.outputs.x": []any{"1", "2"}, "env.HOME": nil,
		// functions
		"contains('Hello', 'ELL')": true, "contains(matrix.list, 'b')": true, "contains(steps.*.outputs.x, '2')": true,
		"startsWith(github.ref, 'refs/heads/')": true, "endsWith('abc', 'BC')": true,
		"format('{0}-{1} {{}}', 'a', 1)": "a-1 {}", "join(matrix.list, '+')": "a+B", "join(matrix.list)": "a,B",
		"fromJSON('[1,{\"a\":\"b\"}]')[1].a": "b", "toJSON(matrix.list)": "[\n  \"a\",\n  \"B\"\n]", "toJSON('<&>')": `"<&>"`,
	} {
		got, err := scope.Eval(source)
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

func TestEvalFaults(t *testing.T) {
	for source, want := range map[string]string{
		"": `"end"`, "1 +": "number", "'open": "closing quote", "secrets.X": `no context is called "secrets"`,
		"nosuch()": `no function is called "nosuch"`, "contains('a')": "want 2 to 2", "github.": "want a property",
		"(1": `want ")"`, "1 2": `unexpected "2"`, "format('{1}', 1)": "want {0}", "fromJSON('{')": "fromJSON", "a = b": "unexpected",
		strings.Repeat("(", 1000): "nested deeper", "0x": "number", "1__0": "number",
	} {
		if v, err := scope.Eval(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q = %v, error %v: want one with %q", source, v, err, want)
		}
	}
}

func TestExpand(t *testing.T) {
	for text, want := range map[string]string{
		"plain $HOME {x}": "plain $HOME {x}", "a ${{ matrix.os }} b": "a linux b", "${{1}}${{ true }}${{ null }}|": "1true|",
		"${{ '}}' }}": "}}", "${{ matrix.list }}": "Array",
	} {
		if got, err := scope.Expand(text); err != nil || got != want {
			t.Errorf("%q = %q, %v: want %q", text, got, err, want)
		}
	}
	if got, err := scope.Expand("${{ 1"); err == nil {
		t.Errorf("an open expression gave %q", got)
	}
}

func TestCondition(t *testing.T) { // success() is false and failure() true
	for source, want := range map[string]bool{
		"": false, "true": false, "${{ matrix.os == 'linux' }}": false, "always()": true, "failure() && matrix.os == 'linux'": true,
		"${{ FAILURE() }}": true, "always() && matrix.os == 'windows'": false, "'always()'": false,
	} {
		if got, err := scope.Condition(source); err != nil || got != want {
			t.Errorf("%q = %v, %v: want %v", source, got, err, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"${{ github.ref }}", "${{ steps.*.outputs[0] || '}}' }}", "${{ format('{0}', 1e9) }}", "${{ !-.5 >= 0x1 }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := scope.Expand(text)
		if err == nil && !strings.Contains(text, "${{") && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
