// Package expr evaluates GitHub's expressions, what stands between ${{ and }} in
// a workflow and after if:, for both who do: the server, before a job reaches its
// runner, and the runner.
//
// It follows https://docs.github.com/en/actions/reference/workflows-and-actions/expressions:
// literals, operators with loose comparison, property and index access that
// ignores case, the filter *, and functions. What is not known here is an error
// that names it, never a silent null.
//
// The syntax tree is actionlint's, and with it come its limits: a literal whole
// number has 32 bits, comparisons in a row without parentheses (a < b == c) are
// taken from the right, and only ['Name'], not .Name, tells apart properties that
// differ in nothing but case.
package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rhysd/actionlint"
)

// A Value is nil, bool, float64, string, []any or map[string]any, as in JSON.
type Value = any

// A Scope is what an expression can see. The zero Scope has no contexts, and
// everything so far was a success. Its methods change nothing.
type Scope struct {
	Contexts map[string]Value // by lower-case name: "github", "matrix", "needs" …
	Status   Status           // of the job, or of what it needs

	// Functions are those that only its owner can evaluate, by lower-case name,
	// such as hashFiles, which needs a workspace.
	Functions map[string]func(args []Value) (Value, error)
}

// A Status is how it went so far. The larger one counts where there are several.
type Status int

// The statuses, and which of the status functions is true with each.
const (
	Success  Status = iota // success()
	Skipped                // none: something needed did not run
	Failure                // failure()
	Canceled               // cancelled()
)

// maxLength is GitHub's limit for one expression, in characters; it bounds how
// deep one can nest, too.
// https://github.com/actions/runner/blob/main/src/Sdk/DTExpressions2/Expressions2/ExpressionConstants.cs
const maxLength = 21000

// Eval evaluates source, an expression without ${{ and }}. An error says what
// in source is wrong or not known.
func (s Scope) Eval(source string) (Value, error) {
	root, err := parse(source)
	if err != nil {
		return nil, err
	}
	return s.evalRoot(source, root)
}

// Condition evaluates source, the text of an if: with or without ${{ }}, as
// GitHub does: without a call of success(), failure(), cancelled() or always()
// it also needs success. The empty condition is success().
func (s Scope) Condition(source string) (bool, error) {
	source = bare(source)
	if source == "" {
		source = "success()"
	}
	root, err := parse(source)
	if err != nil {
		return false, err
	}
	if !callsStatus(root) && s.Status != Success {
		return false, nil
	}
	v, err := s.evalRoot(source, root)
	return Truthy(v), err
}

// CallsStatus reports whether source, an expression, calls success(), failure(),
// cancelled() or always().
func CallsStatus(source string) bool {
	root, err := parse(source)
	return err == nil && callsStatus(root)
}

func (s Scope) evalRoot(source string, root actionlint.ExprNode) (Value, error) {
	v, err := s.eval(root)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return plain(v), nil
}

func parse(source string) (actionlint.ExprNode, error) {
	if n := utf8.RuneCountInString(source); n > maxLength {
		return nil, fmt.Errorf("expression %.30q…: %d characters: want at most %d", source, n, maxLength)
	}
	lexer := actionlint.NewExprLexer(source + "}}")
	root, err := actionlint.NewExprParser().Parse(lexer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("expression %q: %s", source, err.Message)
	case lexer.Offset() < len(source): // the parser stops at the first }}
		return nil, fmt.Errorf("expression %q: unexpected }}", source)
	}
	return root, nil
}

// callsStatus reports whether root calls one of the status functions.
func callsStatus(root actionlint.ExprNode) bool {
	found := false
	actionlint.VisitExprNode(root, func(node, _ actionlint.ExprNode, _ bool) {
		if call, ok := node.(*actionlint.FuncCallNode); ok {
			switch strings.ToLower(call.Callee) {
			case "success", "failure", "cancelled", "always":
				found = true
			}
		}
	})
	return found
}
