package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// filtered is what `.*` yields: the properties asked of it are asked of each item.
type filtered []any

func (env Env) eval(node actionlint.ExprNode) (Value, error) {
	switch n := node.(type) {
	case *actionlint.NullNode:
		return nil, nil
	case *actionlint.BoolNode:
		return n.Value, nil
	case *actionlint.IntNode:
		return float64(n.Value), nil
	case *actionlint.FloatNode:
		return n.Value, nil
	case *actionlint.StringNode:
		return n.Value, nil
	case *actionlint.VariableNode:
		v, ok := env.Contexts[n.Name]
		if !ok {
			return nil, fmt.Errorf("context %q is not known here", n.Name)
		}
		return v, nil
	case *actionlint.NotOpNode:
		v, err := env.eval(n.Operand)
		return !Truthy(v), err
	case *actionlint.FuncCallNode:
		return env.call(n)
	}
	return env.evalTwo(node)
}

// evalTwo evaluates the nodes that have two sides.
func (env Env) evalTwo(node actionlint.ExprNode) (Value, error) {
	switch n := node.(type) {
	case *actionlint.ObjectDerefNode:
		v, err := env.eval(n.Receiver)
		return property(v, n.Property), err
	case *actionlint.ArrayDerefNode:
		v, err := env.eval(n.Receiver)
		return items(v), err
	case *actionlint.IndexAccessNode:
		v, err := env.eval(n.Operand)
		if err != nil {
			return nil, err
		}
		i, err := env.eval(n.Index)
		return index(v, i), err
	case *actionlint.CompareOpNode:
		l, err := env.eval(n.Left)
		if err != nil {
			return nil, err
		}
		r, err := env.eval(n.Right)
		return compare(n.Kind, l, r), err
	case *actionlint.LogicalOpNode:
		l, err := env.eval(n.Left)
		if err != nil || Truthy(l) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return l, err
		}
		return env.eval(n.Right)
	}
	return nil, fmt.Errorf("expression of kind %T is not supported", node)
}

// property reads one property, ignoring case as GitHub does; null if absent.
func property(v Value, name string) Value {
	switch v := v.(type) {
	case map[string]any:
		if direct, ok := v[name]; ok {
			return direct
		}
		for k, item := range v {
			if strings.EqualFold(k, name) {
				return item
			}
		}
	case filtered:
		var out filtered
		for _, item := range v {
			if p := property(item, name); p != nil {
				out = append(out, p)
			}
		}
		return out
	}
	return nil
}

// items lists what is in an array or an object; of objects in order of their keys.
func items(v Value) filtered {
	switch v := v.(type) {
	case []any:
		return v
	case filtered:
		return v
	case map[string]any:
		out := filtered{}
		for _, k := range sortedKeys(v) {
			out = append(out, v[k])
		}
		return out
	}
	return filtered{}
}

func index(v, i Value) Value {
	name, isName := i.(string)
	switch v := v.(type) {
	case map[string]any:
		if isName {
			return property(v, name)
		}
	case []any:
		if n := Number(i); n >= 0 && n < float64(len(v)) {
			return v[int(n)]
		}
	case filtered:
		return index([]any(v), i)
	}
	return nil
}

// compare is GitHub's loose comparison: strings ignore case, unlike types are
// compared as numbers.
func compare(kind actionlint.CompareOpNodeKind, l, r Value) bool {
	var less, equal bool
	ls, lok := l.(string)
	rs, rok := r.(string)
	if lok && rok {
		ls, rs = strings.ToLower(ls), strings.ToLower(rs)
		less, equal = ls < rs, ls == rs
	} else {
		ln, rn := Number(l), Number(r)
		less, equal = ln < rn, ln == rn
		if kind != actionlint.CompareOpNodeKindNotEq && (ln != ln || rn != rn) {
			return false // nothing holds of what is not a number
		}
	}
	switch kind {
	case actionlint.CompareOpNodeKindLess:
		return less
	case actionlint.CompareOpNodeKindLessEq:
		return less || equal
	case actionlint.CompareOpNodeKindGreater:
		return !less && !equal
	case actionlint.CompareOpNodeKindGreaterEq:
		return !less
	case actionlint.CompareOpNodeKindEq:
		return equal
	}
	return !equal
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
