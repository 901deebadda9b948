package expr_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

var scope = expr.Scope{Contexts: map[string]expr.Value{
	"github": map[string]any{"ref": "refs/heads/main", "run_id": "7", "event": map[string]any{"Number": 3.0, "n": 3.0, "ok": true}},
	"matrix": map[string]any{"os": "Linux", "go-version": 1.26, "list": []any{"a", "B"}, "lists": []any{[]any{1.0, 2.0}, []any{3.0}}},
	"steps": map[string]any{
		"one": map[string]any{"outputs": map[string]any{"x": "1"}},
		"two": map[string]any{"outputs": map[string]any{"x": "2"}},
	},
	"needs": map[string]any{
		"a": map[string]any{"result": "success", "outputs": map[string]any{"v": "1"}},
		"b": map[string]any{"result": "skipped"},
	},
	"env": map[string]any{"PATH": "upper", "Path": "mixed"},
}}

func TestEval(t *testing.T) {
	for source, want := range map[string]expr.Value{
		// literals
		"null": nil, "true": true, "-1.5e2": -150.0, "1e3": 1000.0, "0xff": 255.0, "'it''s'": "it's", "''": "",
		// operators
		"1 == 1.0": true, "'a' == 'A'": true, "'a' != 'b'": true, "null == 0": true, "'' == 0": true, "true == 1": true,
		"'x' == 0": false, "'x' != 0": true, "'10' > 9": true, "'1' == 1": true, "'0x10' == 16": true, "'0o17' == 15": true,
		"' 1 ' == 1": true, "'1_0' == 10": false, "'0x_1' == 1": false, "'1p1' == 2": false, "'inf' > 1": false,
		"'a' < 'B'": true, "'b' > 'A'": true, "'_' < 'a'": false, "2 >= 2": true, "2 <= 1": false, "1 < 'x'": false, "1 >= 'x'": false,
		"matrix.list == matrix.list": false, "matrix.list != 'Array'": true,
		"!false": true, "!''": true, "!!'x'": true, "!!0": false, "!(1 == 1)": false,
		"1 == 1 && 2 == 3 || 'yes'": "yes", "'a' && 'b' || 'c'": "b", "'a' || 'b'": "a", "'' || null || 'z'": "z",
		"'a' && 'b'": "b", "'' && 'never'": "", "0 && 'b'": 0.0, "null && 1": nil, "false && nosuch()": false,
		// contexts
		"github.ref": "refs/heads/main", "GitHub.REF": "refs/heads/main", "github['run_id']": "7", "github.event.number": 3.0,
		"github.nothing": nil, "github.nothing.deeper": nil, "github.event.ok && github.event.n == '3'": true, "env.HOME": nil,
		"matrix.go-version": 1.26, "matrix.list[1]": "B", "matrix.list[9]": nil, "matrix.list[-1]": nil, "matrix.list['0']": "a",
		"env['Path']": "mixed", "env.path": "upper", "needs.a.outputs.v": "1",
		"steps.*.outputs.x": []any{"1", "2"}, "steps.*.outputs.x[0]": "1", "steps.*['outputs'].x": []any{"1", "2"}, "steps.*.nothing": []any{},
		"matrix.list.*": []any{"a", "B"}, "matrix.lists.*.*": []any{1.0, 2.0, 3.0}, "github.ref.*": []any{},
		// functions
		"contains('Hello', 'ELL')": true, "contains(123, 2)": true, "contains(matrix.list, 'b')": true,
		"contains(steps.*.outputs.x, '2')": true, "contains(needs.*.result, 'Skipped')": true, "contains(needs.*.result, 'skip')": false,
		"startsWith(github.ref, 'REFS/heads/')": true, "endsWith('abc', 'BC')": true,
		"format('{0}-{1} {{x}}', 'a', 1.5)": "a-1.5 {x}", "format('{0}', true)": "true", "format('{0}', 0.1)": "0.1",
		"format('{0}{1}', matrix, matrix.list)": "ObjectArray", "format('{0}', 1000000)": "1000000", "format('{0}', 1e15)": "1E+15",
		"join(matrix.list, '+')": "a+B", "join(matrix.list)": "a,B", "join(needs.*.result)": "success,skipped", "join('x')": "x",
		"fromJSON('[1,{\"a\":\"b\"}]')[1].a": "b", "fromJSON('true')": true, "toJSON(matrix.list)": "[\n  \"a\",\n  \"B\"\n]",
		"toJSON('<&>')": `"<&>"`, "toJSON(null)": "null", "toJSON(steps.*.nothing)": "[]",
		"always()": true, "success() && !failure() && !cancelled()": true, "SUCCESS()": true,
	} {
		got, err := scope.Eval(source)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", source, err, diff)
		}
	}
}

func TestEvalFaults(t *testing.T) {
	for source, want := range map[string]string{
		"": "end of input", "1 +": "'+'", "'open": "string literal", "github.": "property", "(1": "closing ')'", "1 2": "1 remaining",
		"a = b": "expecting '='", "0x": "hex", "1__0": "1 remaining", "1 }} 2": "unexpected }}", strings.Repeat("(", 1000): "end of input",
		strings.Repeat("(", 30000): "30000 characters: want at most 21000", "3000000000": "integer",
		"secrets.X": `context "secrets" is not known here`, "nosuch()": `function "nosuch" is not known here`,
		"hashFiles('a')": `function "hashFiles" is not known`, "contains('a')": "want 2 to 2", "success(1)": "want 0 to 0",
		"format('{1}', 1)": "want {0}", "format('{', 'a')": "want {0}", "format('}', 'a')": "want {0}", "format('}0}', 'a')": "want {0}", "fromJSON('{')": "fromJSON",
		"!secrets.X": "secrets", "secrets.X == 1": "secrets", "1 == secrets.X": "secrets", "github[secrets.X]": "secrets", "secrets.*": "secrets",
	} {
		if v, err := scope.Eval(source); v != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q = %v, error %.300v: want one with %q", source, v, err, want)
		}
	}
}

func TestCondition(t *testing.T) {
	type row struct{ success, skipped, failure, canceled bool }
	for source, want := range map[string]row{
		"":                                       {success: true},
		"true":                                   {success: true}, // success() is added
		"success()":                              {success: true},
		"${{ success() }}":                       {success: true},
		"failure()":                              {failure: true},
		"${{ FAILURE() }}":                       {failure: true},
		"always()":                               {true, true, true, true},
		"'always()'":                             {success: true},
		"cancelled()":                            {canceled: true},
		"success() || failure()":                 {success: true, failure: true},
		"matrix.os == 'linux'":                   {success: true},
		"${{ matrix.os == 'linux' }}":            {success: true},
		"matrix.os == 'x'":                       {},
		"!cancelled()":                           {true, true, true, false},
		"always() && github.event.ok":            {true, true, true, true},
		"failure() && matrix.os == 'linux'":      {failure: true},
		"always() && matrix.os == 'windows'":     {},
		"fromJSON(format('{0}', always())) == 1": {true, true, true, true},
	} {
		var got row
		for status, into := range map[expr.Status]*bool{
			expr.Success: &got.success, expr.Skipped: &got.skipped, expr.Failure: &got.failure, expr.Canceled: &got.canceled,
		} {
			var err error
			if *into, err = (expr.Scope{Contexts: scope.Contexts, Status: status}).Condition(source); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
		if got != want {
			t.Errorf("%q is %+v, want %+v", source, got, want)
		}
	}
	for _, source := range []string{"secrets.X", "always() && nosuch()", "("} {
		if got, err := scope.Condition(source); got || err == nil {
			t.Errorf("%q is %v, %v: want an error", source, got, err)
		}
	}
}

func TestCallsStatus(t *testing.T) {
	for source, want := range map[string]bool{
		"success()": true, "1 == 1 && Cancelled()": true, "format('{0}', always())": true, "failure( )": true,
		"'success()'": false, "github.success": false, "contains('a', 'b')": false, "success(": false,
	} {
		if got := expr.CallsStatus(source); got != want {
			t.Errorf("%q: %v, want %v", source, got, want)
		}
	}
}
