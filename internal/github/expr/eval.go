package expr

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// filtered is the result of .*: a property of it is that of each item.
type filtered []any

// plain gives what .* yielded as a list like any other.
func plain(v Value) Value {
	if list, ok := v.(filtered); ok {
		return []any(list)
	}
	return v
}

func (n literalNode) eval(Scope) (Value, error) { return n.value, nil }

func (n contextNode) eval(s Scope) (Value, error) {
	v, ok := s.Contexts[n.name]
	if !ok {
		return nil, fmt.Errorf("context %q is not known here", n.name)
	}
	return v, nil
}

func (n notNode) eval(s Scope) (Value, error) {
	v, err := n.operand.eval(s)
	return !Truthy(v), err
}

func (n compareNode) eval(s Scope) (Value, error) {
	l, err := n.left.eval(s)
	if err != nil {
		return nil, err
	}
	r, err := n.right.eval(s)
	return compare(n.op, plain(l), plain(r)), err
}

// eval evaluates operands until one decides.
func (n logicalNode) eval(s Scope) (v Value, err error) {
	for _, operand := range n.operands {
		if v, err = operand.eval(s); err != nil || Truthy(v) == n.or {
			return v, err
		}
	}
	return v, nil
}

// eval reads one item, or, without index, all.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Sdk/Operators/Index.cs
func (n indexNode) eval(s Scope) (Value, error) {
	v, err := n.operand.eval(s)
	if err != nil {
		return nil, err
	}
	if n.index == nil {
		return items(v), nil
	}
	i, err := n.index.eval(s)
	if err != nil {
		return nil, err
	}
	if list, ok := v.(filtered); ok {
		out := filtered{}
		for _, item := range list {
			if inner, found := index(item, plain(i)); found {
				out = append(out, inner)
			}
		}
		return out, nil
	}
	inner, _ := index(v, plain(i))
	return inner, nil
}

// items lists what is in an array, in an object in order of its keys, or, of what .*
// yielded, what is in each of its items.
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

// index is v[i], and whether there is such an item.
func index(v, i Value) (item Value, found bool) {
	switch v := v.(type) {
	case map[string]any:
		if primitive(i) {
			return property(v, Text(i))
		}
	case []any:
		if n := math.Floor(Number(i)); n >= 0 && n < float64(len(v)) {
			return v[int(n)], true
		}
	}
	return nil, false
}

// property reads one property. Case counts only where it tells two apart.
func property(v map[string]any, name string) (item Value, found bool) {
	if exact, ok := v[name]; ok {
		return exact, true
	}
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if strings.EqualFold(k, name) {
			return v[k], true
		}
	}
	return nil, false
}

// primitive reports whether v is neither a list nor an object.
func primitive(v Value) bool {
	switch v.(type) {
	case []any, filtered, map[string]any:
		return false
	}
	return true
}

// compare is GitHub's loose comparison: strings ignore case, unlike types are
// compared as numbers, and lists and objects are equal to themselves alone.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/EvaluationResult.cs
func compare(op string, l, r Value) bool {
	less, equal, greater := order(l, r)
	switch op {
	case "<":
		return less
	case "<=":
		return less || equal
	case ">":
		return greater
	case ">=":
		return greater || equal
	case "==":
		return equal
	}
	return !equal
}

// order returns how l and r compare. Values that cannot be compared are neither less, equal nor greater.
func order(l, r Value) (less, equal, greater bool) {
	if !primitive(l) || !primitive(r) {
		return false, identical(l, r), false
	}
	ls, lok := l.(string)
	rs, rok := r.(string)
	if lok && rok {
		c := strings.Compare(strings.ToUpper(ls), strings.ToUpper(rs))
		return c < 0, c == 0, c > 0
	}
	ln, rn := Number(l), Number(r)
	return ln < rn, ln == rn, ln > rn
}

// identical reports whether l and r are the same list or object.
func identical(l, r Value) bool {
	a, b := reflect.ValueOf(l), reflect.ValueOf(r)
	return !primitive(l) && !primitive(r) && a.Kind() == b.Kind() && a.Len() > 0 && a.Len() == b.Len() && a.Pointer() == b.Pointer()
}
