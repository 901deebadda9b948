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
		"null": nil, "true": true, "+1": 1.0, ".5": 0.5, "5.": 5.0, "3000000000": 3e9, "0xffffffff": -1.0, "0o17": 15.0, "Infinity > 1e308": true, "-1.5e2": -150.0, "1e3": 1000.0, "0xff": 255.0, "'it''s'": "it's", "''": "",
		// operators
		"1 == 1.0": true, "'a' == 'A'": true, "'a' != 'b'": true, "null == 0": true, "'' == 0": true, "true == 1": true,
		"'x' == 0": false, "'x' != 0": true, "'10' > 9": true, "'1' == 1": true, "'0x10' == 16": true, "'0o17' == 15": true,
		"' 1 ' == 1": true, "'1_0' == 10": false, "'0x_1' == 1": false, "'1p1' == 2": false, "'inf' > 1": false,
		"'a' < 'B'": true, "'b' > 'A'": true, "'_' < 'a'": false, "2 >= 2": true, "2 <= 1": false, "1 < 'x'": false, "1 >= 'x'": false,
		"matrix.list == matrix.list": true, "matrix == matrix": true, "matrix.list != 'Array'": true, "matrix.list == null": false, "matrix.list == fromJSON('[\"a\",\"B\"]')": false,
		"null == null": true, "null <= null": true, "null < null": false, "null == ''": true, "null == false": true, "true > false": true, "NaN == NaN": false, "NaN != NaN": true,
		"1 < 2 == true": true, "1 == 2 < 3": true, "3 > 2 > 1": false, "!1 == false": true, "1 == 1 == 1": true, "true || false && false": true, "(true || false) && false": false,
		"!false": true, "!''": true, "!!'x'": true, "!!0": false, "!(1 == 1)": false,
		"1 == 1 && 2 == 3 || 'yes'": "yes", "'a' && 'b' || 'c'": "b", "'a' || 'b'": "a", "'' || null || 'z'": "z",
		"'a' && 'b'": "b", "'' && 'never'": "", "0 && 'b'": 0.0, "null && 1": nil, "1 && 2 && 3": 3.0, "'' || 0 || null": nil,
		// contexts
		"github.ref": "refs/heads/main", "GitHub.REF": "refs/heads/main", "github['run_id']": "7", "github.event.number": 3.0,
		"github.nothing": nil, "github.nothing.deeper": nil, "github.event.ok && github.event.n == '3'": true, "env.HOME": nil,
		"matrix.go-version": 1.26, "matrix.list[1]": "B", "matrix.list[9]": nil, "matrix.list[-1]": nil, "matrix.list['0']": "a",
		"env['Path']": "mixed", "env.path": "upper", "needs.a.outputs.v": "1",
		"steps.*.outputs.x": []any{"1", "2"}, "steps.*.outputs.x[0]": []any{}, "matrix.lists.*[0]": []any{1.0, 3.0}, "matrix.lists.*[1]": []any{2.0}, "steps[*].outputs.x": []any{"1", "2"}, "(steps.*).outputs.x": []any{"1", "2"},
		"matrix.list[0.9]": "a", "matrix[matrix.list]": nil, "needs.*.outputs": []any{map[string]any{"v": "1"}}, "fromJSON('[{\"a\":null},{\"b\":1}]').*.a": []any{nil}, "github.REF": "refs/heads/main", "matrix[format('{0}', 'os')]": "Linux", "steps.*['outputs'].x": []any{"1", "2"}, "steps.*.nothing": []any{},
		"matrix.list.*": []any{"a", "B"}, "matrix.lists.*.*": []any{1.0, 2.0, 3.0}, "github.ref.*": []any{},
		// functions
		"contains('Hello', 'ELL')": true, "contains(123, 2)": true, "contains(matrix.list, 'b')": true,
		"contains(steps.*.outputs.x, '2')": true, "contains(needs.*.result, 'Skipped')": true, "contains(needs.*.result, 'skip')": false,
		"startsWith(github.ref, 'REFS/heads/')": true, "endsWith('abc', 'BC')": true,
		"format('{0}-{1} {{x}}', 'a', 1.5)": "a-1.5 {x}", "format('{0}', true)": "true", "format('{0}', 0.1)": "0.1",
		"format('{0}{1}', matrix, matrix.list)": "ObjectArray", "format('{0}', 1000000)": "1000000", "format('{0}', 1e15)": "1E+15",
		"join(matrix.list, '+')": "a+B", "join(matrix.list)": "a,B", "join(needs.*.result)": "success,skipped", "join('x')": "x", "join(matrix)": "", "join(fromJSON('[]'))": "", "join(fromJSON('[1,null,[2]]'))": "1,,Array", "join(matrix.list, matrix)": "a,B",
		"contains(matrix, 'Object')": false, "contains('Array', matrix.list)": false, "startsWith(matrix.list, 'Arr')": false, "endsWith('x', '')": true, "contains('', '')": true, "contains(null, '')": true,
		"case(false, 1, true, 2, 3)": 2.0, "case(false, 1, 3)": 3.0, "case(true, 'a', fromJSON('{'))": "a",
		"format('{0}', -0)": "0", "format('{0}', -1 == -1)": "true", "format('{0}|{1}', Infinity, -Infinity)": "Infinity|-Infinity", "format('{0}', 0.00001)": "1E-05", "format('{0}', 1.10)": "1.1",
		"toJSON(fromJSON('{\"b\":[1e15,{}],\"a\":[]}'))": "{\n  \"a\": [],\n  \"b\": [\n    1E+15,\n    {}\n  ]\n}", "toJSON('a\tb')": `"a\tb"`,
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
		"": "unexpected end: want a value", "1 +": `unexpected symbol "+" at position 3`, "'open": "want ' at its end", "github.": "want the name of a property or *", "(1": "unexpected end: want )",
		"1 2": `unexpected symbol "2" at position 3`, "a = b": `unexpected symbol "="`, "0x": `unexpected symbol "0x"`, "1__0": `"1__0"`, "1 }} 2": `unexpected symbol "}}"`, "a & b": `"&"`,
		"'a'.b": `unexpected symbol "."`, "1.a": `"1.a"`, "github.'x'": "want the name", "github['ref'": "unexpected end: want ]", "github[]": "want a value", "f(1,)": "want a value", "(1, 2)": "want )", "*": "want a value", "\"x\"": `"\"x\""`,
		"TRUE": `context "true" is not known`, "False": "is not known", "nan": "is not known", "0xg": `"0xg"`, "-": `"-"`, "0x1FFFFFFFF": "unexpected symbol", "github.1": "want the name", "é": `"é"`,
		strings.Repeat("(", 1000): "unexpected end", strings.Repeat("!", 51) + "1": "want a depth of at most 50", strings.Repeat("(", 30000): "30000 characters: want at most 21000",
		"case(1, 2)": "want 3 to 255", "case(true, 1, false, 2)": "want pairs", "case('true', 1, 2)": `case "true": want true or false`, "false && nosuch()": `function "nosuch" is not known here`, "true || secrets.X": `context "secrets"`,
		strings.Repeat("toJSON(", 49) + "'\"'" + strings.Repeat(")", 49): "too long", strings.Repeat("format('{0}{0}{0}{0}', ", 20) + "'xxxx'" + strings.Repeat(")", 20): "too long",
		"format('{0:x}', 1)": "want {0}", "format('{256}', 1)": "want {0}",
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
