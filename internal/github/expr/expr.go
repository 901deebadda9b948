// Package expr evaluates GitHub's expressions, what stands between ${{ and }} in
// a workflow and after if:, for both who do: the server, before a job reaches its
// runner, and the runner.
//
// It follows https://docs.github.com/en/actions/reference/workflows-and-actions/expressions:
// literals, operators with loose comparison, property and index access that
// ignores case, the filter *, and functions. What is not known here is an error
// that names it, never a silent null.
//
// It reads them as the code does that GitHub's servers and runners share, which is
// in actions/runner, src/Sdk/Expressions. One thing differs: an object has no order
// of its own here, so that .* and toJSON give its properties in order of their names.
package expr

import (
	"fmt"
	"strings"
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

// evalRoot checks what root names before it evaluates it, as GitHub does: what is not
// known is an error also where it would not be reached.
func (s Scope) evalRoot(source string, root node) (v Value, err error) {
	walk(root, func(n node) {
		if err == nil {
			err = s.known(n)
		}
	})
	if err == nil {
		v, err = root.eval(s)
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return plain(v), nil
}

// known returns what of n the scope does not know.
func (s Scope) known(n node) error {
	switch n := n.(type) {
	case contextNode:
		if _, found := s.Contexts[n.name]; !found {
			return fmt.Errorf("context %q is not known here", n.name)
		}
	case callNode:
		if s.Functions[strings.ToLower(n.name)] == nil {
			return n.check()
		}
	}
	return nil
}

// callsStatus reports whether root calls one of the status functions.
func callsStatus(root node) bool {
	found := false
	walk(root, func(n node) {
		if call, ok := n.(callNode); ok {
			switch strings.ToLower(call.name) {
			case "success", "failure", "cancelled", "always":
				found = true
			}
		}
	})
	return found
}
