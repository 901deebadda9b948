package why_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/why"
)

// TestEveryCauseHasAFix: each constant of the package that is a cause is in the table, with a fix for which
// all placeholders are known.
func TestEveryCauseHasAFix(t *testing.T) {
	all := why.Causes()
	for _, name := range declared(t) {
		c := why.Cause(name)
		if !slices.Contains(all, c) {
			t.Errorf("cause %q is not in the table", c)
		}
		switch fix := c.Fix(why.Facts{}); {
		case fix == "":
			t.Errorf("cause %q has no fix", c)
		case strings.ContainsAny(fix, "{}"):
			t.Errorf("cause %q: %q: want known placeholders only", c, fix)
		}
	}
	for _, c := range all {
		if k := c.Kind(); k != why.OnItsWay && k < 10 || k > 18 {
			t.Errorf("cause %q has exit code %d: want 0, or 10 to 18", c, k)
		}
	}
}

// declared returns the values of the package's constants of type Cause.
func declared(t *testing.T) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "causes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, _ := strconv.Unquote(lit.Value)
				values = append(values, value)
			}
		}
		return true
	})
	if len(values) < 40 {
		t.Fatalf("%d causes are declared in causes.go: want all", len(values))
	}
	return values
}

func TestAnswer(t *testing.T) {
	a := why.New(why.PoolFull, why.Facts{Pool: "small"}, "pool %s is full: %d of %d", "small", 2, 2).And("; more")
	if a.Text != "pool small is full: 2 of 2; more" || !strings.Contains(a.Fix, "max of pool small") || a.Exit() != 10 {
		t.Errorf("%+v", a)
	}
	if b := a.Advised("").Advised("do this"); b.Fix != "do this" || a.Advised("").Fix != a.Fix {
		t.Errorf("%+v", b)
	}
	if k := why.Cause("nonsense").Kind(); k != why.Unknown {
		t.Errorf("kind %d", k)
	}
}
