package expr

import (
	"encoding/json"
	"slices"
	"strings"
)

// An Unknown is a value that only a run of the workflow can tell, by what it reads, such as vars.POOL.
type Unknown struct{ Reads []string }

// A Partial is a context of which some properties are known. The others are [Unknown].
type Partial struct {
	Name  string // of the context
	Known map[string]Value
}

// maxPossible bounds how many values an expression may have: beyond, it is unknown.
const maxPossible = 64

// Possible returns the values that template can have, in place of the one that [Scope.Resolve] returns, where the scope
// lacks contexts: a condition that cannot be told is true or false, and everything else that cannot be told is an Unknown.
func (s Scope) Possible(template string) ([]Value, error) {
	if source, whole := wrapped(template); whole {
		return s.possible(source)
	}
	texts := []Value{""}
	join := func(pieces []Value) {
		texts = combine(texts, pieces, func(a, b Value) Value { return Text(plain(a)) + Text(plain(b)) })
	}
	err := split(template, func(piece string) error {
		join([]Value{piece})
		return nil
	}, func(source string) error {
		pieces, err := s.possible(source)
		join(pieces)
		return err
	})
	return texts, err
}

func (s Scope) possible(source string) ([]Value, error) {
	root, err := parse(source)
	if err != nil {
		return nil, err
	}
	var faults error
	walk(root, func(n node) {
		if call, ok := n.(callNode); ok && faults == nil && s.Functions[strings.ToLower(call.name)] == nil {
			faults = call.check()
		}
	})
	if faults != nil {
		return nil, faults
	}
	return distinct(s.valuesOf(root)), nil
}

// valuesOf returns what n can be.
func (s Scope) valuesOf(n node) []Value {
	switch n := n.(type) {
	case literalNode:
		return []Value{n.value}
	case contextNode:
		if v, ok := s.Contexts[n.name]; ok {
			return []Value{v}
		}
		return []Value{Unknown{[]string{n.name}}}
	case notNode:
		return decide(s.valuesOf(n.operand), func(v Value) bool { return !Truthy(v) })
	case compareNode:
		pairs := combine(s.valuesOf(n.left), s.valuesOf(n.right), func(l, r Value) Value { return compare(n.op, plain(l), plain(r)) })
		return decide(pairs, Truthy)
	case logicalNode:
		return s.logical(n)
	case indexNode:
		return s.indexed(n)
	case callNode:
		return s.called(n)
	}
	return []Value{Unknown{}}
}

// decide applies a test. An unknown value gives both results.
func decide(values []Value, test func(Value) bool) (all []Value) {
	for _, v := range values {
		if _, unknown := v.(Unknown); unknown {
			return []Value{true, false}
		}
		all = append(all, test(v))
	}
	return distinct(all)
}

// logical follows each value of an operand: as the result where it decides, and else to the next operand.
func (s Scope) logical(n logicalNode) (all []Value) {
	for i, operand := range n.operands {
		last, further := i == len(n.operands)-1, false
		for _, v := range s.valuesOf(operand) {
			_, unknown := v.(Unknown)
			if decides := !unknown && Truthy(v) == n.or; decides || last {
				all = append(all, v)
				continue
			}
			further = true
			if unknown && n.or {
				all = append(all, v)
			} else if unknown {
				all = append(all, false)
			}
		}
		if !further {
			break
		}
	}
	return distinct(all)
}

func (s Scope) indexed(n indexNode) []Value {
	values := s.valuesOf(n.operand)
	if n.index == nil {
		return each(values, func(v Value) Value { return items(v) })
	}
	if literal, ok := n.index.(literalNode); ok {
		for i, v := range values {
			values[i] = further(v, Text(literal.value))
		}
	}
	return combine(values, s.valuesOf(n.index), func(v, i Value) Value {
		if context, partial := v.(Partial); partial {
			if item, found := property(context.Known, Text(plain(i))); found {
				return item
			}
			return further(Unknown{[]string{context.Name}}, Text(plain(i)))
		}
		inner, _ := index(plain(v), plain(i))
		return inner
	})
}

// further returns v, and of what only a run tells its property name: vars becomes vars.POOL.
func further(v Value, name string) Value {
	if u, unknown := v.(Unknown); unknown && len(u.Reads) == 1 && isName(name) && isPath(u.Reads[0]) {
		return Unknown{[]string{u.Reads[0] + "." + name}}
	}
	return v
}

func isPath(text string) bool {
	return !slices.ContainsFunc(strings.Split(text, "."), func(part string) bool { return !isName(part) })
}

// called gives what a call returns for each combination of its arguments.
func (s Scope) called(n callNode) []Value {
	name := strings.ToLower(n.name)
	if name == "case" { // any of its values, and the last
		var all []Value
		for i, arg := range n.args {
			if i%2 == 1 || i == len(n.args)-1 {
				all = append(all, s.valuesOf(arg)...)
			}
		}
		return distinct(all)
	}
	if s.Functions[name] != nil || functions[name].apply == nil {
		return []Value{Unknown{[]string{n.name + "()"}}}
	}
	lists := []Value{[]any{}}
	for _, arg := range n.args {
		lists = combine(lists, s.valuesOf(arg), func(list, v Value) Value { return append(slices.Clone(list.([]any)), plain(v)) })
	}
	return each(lists, func(list Value) Value {
		v, err := functions[name].apply(s, list.([]any))
		if err != nil {
			return Unknown{[]string{n.name + "()"}}
		}
		return v
	})
}

// each applies f to the known values.
func each(values []Value, f func(Value) Value) []Value {
	return combine(values, []Value{nil}, func(v, _ Value) Value { return f(v) })
}

// combine applies f to each pair. What is made of an Unknown is one, and so is each of too many.
func combine(left, right []Value, f func(l, r Value) Value) (all []Value) {
	for _, l := range left {
		for _, r := range right {
			if unknown := reads(l, r); unknown != nil {
				all = append(all, *unknown)
			} else {
				all = append(all, f(l, r))
			}
		}
	}
	if all = distinct(all); len(all) > maxPossible {
		return []Value{Unknown{[]string{"too many values"}}}
	}
	return all
}

// reads joins what the Unknowns among l and r read; nil where both are known.
func reads(l, r Value) *Unknown {
	a, isA := l.(Unknown)
	b, isB := r.(Unknown)
	switch {
	case isA && isB:
		return &Unknown{append(slices.Clone(a.Reads), b.Reads...)}
	case isA:
		return &a
	case isB:
		return &b
	}
	return nil
}

// distinct returns values without repetitions, in order.
func distinct(values []Value) (all []Value) {
	seen := map[string]bool{}
	for _, v := range values {
		key, err := json.Marshal(plain(v))
		if _, unknown := v.(Unknown); unknown {
			key = append([]byte("unknown "), key...)
		}
		if err != nil || !seen[string(key)] {
			all = append(all, v)
		}
		seen[string(key)] = true
	}
	return all
}
