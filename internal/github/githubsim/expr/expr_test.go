package expr_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/expr"
)

var env = expr.Env{Contexts: map[string]expr.Value{
	"github": map[string]any{"ref": "refs/heads/main", "event": map[string]any{"n": 3.0, "ok": true}},
	"matrix": map[string]any{"os": "Linux", "list": []any{"a", "b"}},
	"needs": map[string]any{
		"a": map[string]any{"result": "success", "outputs": map[string]any{"v": "1"}},
		"b": map[string]any{"result": "skipped"},
	},
}}

func TestEval(t *testing.T) {
	for source, want := range map[string]expr.Value{
		`1 == 1.0`:                              true,
		`'A' == 'a'`:                            true, // strings ignore case
		`'1' == 1`:                              true, // unlike types are compared as numbers
		`null == 0`:                             true,
		`'x' == 0`:                              false,
		`'x' != 0`:                              true,
		`'b' > 'A'`:                             true,
		`2 <= 1`:                                false,
		`!''`:                                   true,
		`'' || 'else'`:                          "else",
		`'' && 'never'`:                         "",
		`github.event.n`:                        3.0,
		`github['ref']`:                         "refs/heads/main",
		`GitHub.REF`:                            "refs/heads/main",
		`github.none.deeper`:                    nil,
		`matrix.list[1]`:                        "b",
		`matrix.list[9]`:                        nil,
		`needs.a.outputs.v`:                     "1",
		`contains(needs.*.result, 'Skipped')`:   true,
		`contains('Hello', 'ELL')`:              true,
		`startsWith(github.ref, 'refs/heads/')`: true,
		`endsWith(matrix.os, 'UX')`:             true,
		`format('{0}-{1} {{x}}', 'a', 2)`:       "a-2 {x}",
		`join(matrix.list, '+')`:                "a+b",
		`join(needs.*.result)`:                  "success,skipped",
		`fromJSON('[1,"x"]')[1]`:                "x",
		`toJSON(matrix.list)`:                   "[\n  \"a\",\n  \"b\"\n]",
		`success() && !failure() && !cancelled()`: true,
		`always()`: true,
		`github.event.ok && github.event.n == '3'`: true,
	} {
		got, err := expr.Eval(source, env)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", source, err, d)
		}
	}
}

func TestEvalFaults(t *testing.T) {
	for _, source := range []string{
		``, `1 +`, `secrets.X`, `hashFiles('a')`, `nothing()`, `contains('a')`, `format('{3}', 'a')`, `format('{', 'a')`, `fromJSON('{')`, `'open`,
	} {
		if got, err := expr.Eval(source, env); err == nil {
			t.Errorf("%q gave %v, want an error", source, got)
		}
	}
}

func TestCondition(t *testing.T) {
	type row struct{ success, skipped, failure, canceled bool }
	for source, want := range map[string]row{
		``:                            {success: true},
		`success()`:                   {success: true},
		`${{ success() }}`:            {success: true},
		`failure()`:                   {failure: true},
		`always()`:                    {true, true, true, true},
		`cancelled()`:                 {canceled: true},
		`success() || failure()`:      {success: true, failure: true},
		`matrix.os == 'linux'`:        {success: true}, // success() is added
		`matrix.os == 'x'`:            {},
		`!cancelled()`:                {true, true, true, false},
		`always() && github.event.ok`: {true, true, true, true},
	} {
		var got row
		for status, into := range map[expr.Status]*bool{
			expr.Success: &got.success, expr.Skipped: &got.skipped, expr.Failure: &got.failure, expr.Canceled: &got.canceled,
		} {
			var err error
			if *into, err = expr.Condition(source, expr.Env{Contexts: env.Contexts, Status: status}); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
		if got != want {
			t.Errorf("%q is %+v, want %+v", source, got, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for template, want := range map[string]struct {
		expanded, formatted string
	}{
		`plain`:                       {`plain`, `format('plain')`},
		`a ${{ matrix.os }} b`:        {`a Linux b`, `format('a {0} b', matrix.os)`},
		`${{ matrix.os }}`:            {`Linux`, `matrix.os`},
		`${{ 1 }}${{ 2 }}`:            {`12`, `format('{0}{1}', 1, 2)`},
		`it's {x} ${{ '}}' }}`:        {`it's {x} }}`, `format('it''s {{x}} {0}', '}}')`},
		`${{ format('{0}', 'a') }}!`:  {`a!`, `format('{0}!', format('{0}', 'a'))`},
		"${{ null }}|${{ true }}|${{": {``, ``},
	} {
		expanded, err := expr.Expand(template, env)
		if want.formatted == "" {
			if err == nil {
				t.Errorf("%q: %q, want an error", template, expanded)
			}
			continue
		}
		if err != nil || expanded != want.expanded {
			t.Errorf("%q: %q, %v, want %q", template, expanded, err, want.expanded)
		}
		formatted := expr.Format(template)
		if formatted != want.formatted {
			t.Errorf("%q: %q, want %q", template, formatted, want.formatted)
		}
		if again, err := expr.Eval(formatted, env); err != nil || expr.Text(again) != want.expanded {
			t.Errorf("%q by way of %q: %v, %v", template, formatted, again, err)
		}
	}
	if v, err := expr.Resolve("${{ matrix.list }}", env); err != nil || cmp.Diff(v, []any{"a", "b"}) != "" {
		t.Errorf("a list is %v, %v", v, err)
	}
}

func TestWithin(t *testing.T) {
	for template, want := range map[string]bool{
		`no expression`:                true,
		`${{ matrix.os }}`:             true,
		`${{ github.ref }}`:            true,
		`${{ github.token }}`:          false,
		`${{ steps.a.outputs.b }}`:     false,
		`${{ hashFiles('x') }}`:        false,
		`${{ matrix[github.x] || 1 }}`: true,
		`${{ oops`:                     false,
	} {
		if got := expr.Within(template, "matrix", "github"); got != want {
			t.Errorf("%q: %v (%v), want %v", template, got, expr.Check(template, "matrix", "github"), want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"${{ a }}", "${{ format('{0}', 1) }}", "${{ fromJSON('[]')[0].*.x }}", "x ${{ '}}' }} y", "${{0", "${{ github['ref'][1] == !null }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		if !utf8.ValidString(template) || strings.ContainsAny(template, "\x00\ufeff") {
			return // no YAML file has it
		}
		expanded, err := expr.Expand(template, env)
		formatted := expr.Format(template)
		if err != nil {
			return
		}
		if v, err := expr.Eval(formatted, env); err != nil || expr.Text(v) != expanded {
			t.Errorf("%q expands to %q, as an expression %q to %v, %v", template, expanded, formatted, v, err)
		}
	})
}
