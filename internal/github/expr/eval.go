package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// filtered is what .* yields: the properties asked of it are asked of each item.
type filtered []any

// plain gives what .* yielded as a list like any other.
func plain(v Value) Value {
	if list, ok := v.(filtered); ok {
		return []any(list)
	}
	return v
}

func (s Scope) eval(node actionlint.ExprNode) (Value, error) {
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
		v, ok := s.Contexts[n.Name]
		if !ok {
			return nil, fmt.Errorf("context %q is not known here", n.Name)
		}
		return v, nil
	case *actionlint.NotOpNode:
		v, err := s.eval(n.Operand)
		return !Truthy(v), err
	case *actionlint.FuncCallNode:
		return s.call(n)
	}
	return s.evalInner(node)
}

// evalInner evaluates access and the operators with two sides. The right side of
// && and || is evaluated only if the left one leaves it open.
func (s Scope) evalInner(node actionlint.ExprNode) (Value, error) {
	switch n := node.(type) {
	case *actionlint.ObjectDerefNode:
		v, err := s.eval(n.Receiver)
		return property(v, n.Property), err
	case *actionlint.ArrayDerefNode:
		v, err := s.eval(n.Receiver)
		return items(v), err
	case *actionlint.IndexAccessNode:
		v, i, err := s.both(n.Operand, n.Index)
		return index(v, i), err
	case *actionlint.CompareOpNode:
		l, r, err := s.both(n.Left, n.Right)
		return compare(n.Kind, l, r), err
	case *actionlint.LogicalOpNode:
		l, err := s.eval(n.Left)
		if err != nil || Truthy(l) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return l, err
		}
		return s.eval(n.Right)
	}
	return nil, fmt.Errorf("node %T is not known here", node)
}

func (s Scope) both(left, right actionlint.ExprNode) (l, r Value, err error) {
	if l, err = s.eval(left); err == nil {
		r, err = s.eval(right)
	}
	return l, r, err
}

// property reads one property; null if absent. Case counts only where it tells
// two properties apart.
func property(v Value, name string) Value {
	switch v := v.(type) {
	case map[string]any:
		if exact, ok := v[name]; ok {
			return exact
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if strings.EqualFold(k, name) {
				return v[k]
			}
		}
	case filtered:
		out := filtered{}
		for _, item := range v {
			if p := property(item, name); p != nil {
				out = append(out, p)
			}
		}
		return out
	}
	return nil
}

// items lists what is in an array, in an object in order of its keys, or, of
// what .* yielded, what is in each of its items.
func items(v Value) filtered {
	out := filtered{}
	switch v := v.(type) {
	case []any:
		return v
	case filtered:
		for _, item := range v {
			out = append(out, items(item)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, v[k])
		}
	}
	return out
}

// index is v[i]; null if there is no such item.
func index(v, i Value) Value {
	switch list := v.(type) {
	case map[string]any:
		return property(v, Text(i))
	case []any:
		if n := Number(i); n >= 0 && n < float64(len(list)) {
			return list[int(n)]
		}
	case filtered:
		if name, ok := i.(string); ok {
			return property(v, name)
		}
		return index(plain(v), i)
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
		less, equal = strings.ToUpper(ls) < strings.ToUpper(rs), strings.EqualFold(ls, rs)
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
