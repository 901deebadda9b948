package expr_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	server "github.com/mayfly-ci/mayfly/internal/github/githubsim/expr"
)

// TestServerAgrees holds this evaluator, the runner's, against the simulated
// server's: GitHub has two as well, and who evaluates must not matter.
func TestServerAgrees(t *testing.T) {
	contexts := scope.Contexts
	for _, source := range []string{
		"1 == 1.0", "'a' == 'A'", "null == 0", "'' == 0", "'x' == 0", "true == 1", "'10' > 9", "'a' < 'B'", "'0x10' == 16", "' 1 ' == 1",
		"!'x'", "!!0", "'a' && 'b' || 'c'", "'' || null || 'z'", "null && 1", "github.ref", "GitHub.REF", "github.nothing.more", "github['run_id']",
		"matrix.list[1]", "matrix.list[5]", "matrix.list[-1]", "matrix.list['0']", "matrix.go-version", "steps.*.outputs.x", "steps.*.outputs.x[0]",
		"matrix.list.*", "contains('Hello', 'ELL')", "contains(matrix.list, 'b')", "contains(steps.*.outputs.x, '2')", "contains(123, 2)",
		"startsWith('Abc', 'aB')", "endsWith('abc', 'BC')", "format('{0}-{1} {{}}', 'a', 1.5)", "join(matrix.list, '+')", "join('x')",
		"toJSON(matrix)", "toJSON('<&>')", "toJSON(null)", "fromJSON('[1,{\"a\":null}]')", "fromJSON('true')", "1e3", "0xff", "-1.5",
		"format('{0}', 1000000)", "format('{0}', 0.1)", "format('{0}', matrix.list)", "format('{0}', true)", "matrix.list == matrix.list",
	} {
		want, serverErr := server.Eval(source, server.Env{Contexts: contexts})
		got, err := expr.Scope{Contexts: contexts}.Eval(source)
		if (err == nil) != (serverErr == nil) {
			t.Errorf("%s: runner says %v, %v, server says %v, %v", source, got, err, want, serverErr)
		} else if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Errorf("%s (-server +runner):\n%s", source, diff)
		}
	}
}
