package expr_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

func TestTemplates(t *testing.T) {
	for template, want := range map[string]struct {
		expanded, formatted string
	}{
		`plain`:                       {`plain`, `format('plain')`},
		`plain $HOME {x}`:             {`plain $HOME {x}`, `format('plain $HOME {{x}}')`},
		`a ${{ matrix.os }} b`:        {`a Linux b`, `format('a {0} b', matrix.os)`},
		`${{ matrix.os }}`:            {`Linux`, `matrix.os`},
		`${{ matrix.list }}`:          {`Array`, `matrix.list`},
		`${{ 1 }}${{ 2 }}`:            {`12`, `format('{0}{1}', 1, 2)`},
		`${{1}}${{true}}${{ null }}|`: {`1true|`, `format('{0}{1}{2}|', 1, true, null)`},
		`${{ '}}' }}`:                 {`}}`, `'}}'`},
		`it's {x} ${{ '}}' }}`:        {`it's {x} }}`, `format('it''s {{x}} {0}', '}}')`},
		`${{ format('{0}', 'a') }}!`:  {`a!`, `format('{0}!', format('{0}', 'a'))`},
	} {
		expanded, err := scope.Expand(template)
		if err != nil || expanded != want.expanded {
			t.Errorf("%q: %q, %v, want %q", template, expanded, err, want.expanded)
		}
		formatted := expr.Format(template)
		if formatted != want.formatted {
			t.Errorf("%q: %q, want %q", template, formatted, want.formatted)
		}
		if again, err := scope.Eval(formatted); err != nil || expr.Text(again) != want.expanded {
			t.Errorf("%q by way of %q: %v, %v", template, formatted, again, err)
		}
	}
	for _, template := range []string{"${{ null }}|${{ true }}|${{", "${{ 1", "x ${{ secrets.X }}"} {
		if got, err := scope.Expand(template); got != "" || err == nil {
			t.Errorf("%q: %q, want an error", template, got)
		}
	}
}

func TestResolve(t *testing.T) {
	for template, want := range map[string]expr.Value{
		"${{ matrix.list }}": []any{"a", "B"}, "${{ matrix.list }} ": "Array ", "${{ true }}": true, "true": "true",
	} {
		if got, err := scope.Resolve(template); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: %#v, %v, want %#v", template, got, err, want)
		}
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
		`${{ matrix[steps.x] || 1 }}`:  false,
		`${{ oops`:                     false,
	} {
		if got := expr.Within(template, "matrix", "github"); got != want {
			t.Errorf("%q: %v (%v), want %v", template, got, expr.Check(template, "matrix", "github"), want)
		}
	}
}

func TestHas(t *testing.T) {
	for template, want := range map[string]bool{"${{ 1 }}": true, "a ${{1}}": true, "plain": false, "}} ${{": false} {
		if got := expr.Has(template); got != want {
			t.Errorf("%q: %v, want %v", template, got, want)
		}
	}
}

// FuzzExpand holds expanding against formatting and evaluating: who does it, the
// server or the runner, must not matter.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{
		"plain", "${{ github.ref }}", "${{ steps.*.outputs[0] || '}}' }}", "${{ format('{0}', 1e9) }}", "${{ !-5 >= 0x1 }}", "x ${{ '}}' }} y",
		"${{ fromJSON('[]')[0].*.x }}", "${{ case(1 == 1 == true, matrix[*].x, -Infinity) }}", "${{ join(matrix.lists[0.5].*, 0o17) || toJSON(steps) }}", "${{0", "${{ github['ref'][1] == !null }}", "${{ 1 }}${{ steps.*.* }}{0}'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		if !utf8.ValidString(template) || strings.ContainsAny(template, "\x00\ufeff") {
			return // no YAML file has it
		}
		expanded, err := scope.Expand(template)
		if err != nil || len(template) > 1000 { // so that it stays one expression of GitHub's size
			return
		}
		if !strings.Contains(template, "${{") && expanded != template {
			t.Errorf("%q became %q", template, expanded)
		}
		formatted := expr.Format(template)
		if v, err := scope.Eval(formatted); err != nil && strings.Contains(err.Error(), "want a depth of at most") {
			return // format() is one level more
		} else if err != nil || expr.Text(v) != expanded {
			t.Errorf("%q expands to %q, as an expression %q to %v, %v", template, expanded, formatted, v, err)
		}
	})
}
