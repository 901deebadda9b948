package pattern

import "github.com/mayfly-ci/mayfly/internal/event/scan"

// maxKept bounds the memory that a run keeps for the next event.
const maxKept = 1 << 14

// A run is one pass over one event.
type run struct {
	scan.Scanner
	matcher *matcher
	arrays
	met    [][]int32 // by clause, the elements in which it holds, see arrays
	marked []int32   // the clauses that hold
	rules  []bool    // rules that matched
	text   []byte    // the last text or name without escapes
	scalar value     // the one being read; a field, so that calls of operators do not move it to the heap
}

func newRun(m *matcher) *run {
	return &run{matcher: m, met: make([][]int32, len(m.clauses)), rules: make([]bool, m.rules)}
}

// run calls match for each rule that matches event, in no order.
func (m *matcher) run(event []byte, match func(rule int)) {
	r := m.pool.Get().(*run)
	defer r.release()
	r.Data, r.Pos = event, 0
	r.arrays.reset()
	if r.Peek() != '{' || !r.object(m.root, 1) || r.Peek() != 0 || r.Pos < len(event) {
		return
	}
	for _, id := range r.marked {
		r.decide(m.waiting[id], match)
	}
	r.decide(m.always, match)
}

// release clears the run and returns it to the pool, unless a large event has
// made it large.
func (r *run) release() {
	kept := len(r.elements)
	for _, id := range r.marked {
		kept += cap(r.met[id])
		r.met[id] = r.met[id][:0]
	}
	r.marked = r.marked[:0]
	clear(r.rules)
	r.Data = nil
	if kept+cap(r.text)/8 <= maxKept {
		r.matcher.pool.Put(r)
	}
}

func (r *run) decide(ways []int32, match func(rule int)) {
	for _, i := range ways {
		w := &r.matcher.ways[i]
		if !r.rules[w.rule] && r.holds(w.clauses) {
			r.rules[w.rule] = true
			match(w.rule)
		}
	}
}

// note records that clauses hold at the array element being read.
func (r *run) note(ids []int32) {
	for _, id := range ids {
		met := r.met[id]
		if len(met) == 0 {
			r.marked = append(r.marked, id)
		} else if met[len(met)-1] == r.current {
			continue
		}
		r.met[id] = append(met, r.current)
	}
}

// object reads the object at pos. n is its node in the tree of paths.
func (r *run) object(n *node, depth int) bool {
	r.Pos++
	if depth > scan.MaxDepth {
		return false
	}
	if r.Take('}') {
		return true
	}
	for {
		name, escaped, ok := r.Name()
		if !ok {
			return false
		}
		if escaped {
			r.text = scan.Unescape(r.text[:0], name)
			name = r.text
		}
		if child := n.child(name); child == nil {
			ok = r.Skip(depth)
		} else {
			ok = r.value(child, depth)
		}
		if !ok {
			return false
		}
		if more, ok := r.More('}'); !more || !ok {
			return ok
		}
	}
}

// array reads the array at pos: its elements are values of n.
func (r *run) array(n *node, depth int) bool {
	r.Pos++
	if depth > scan.MaxDepth {
		return false
	}
	if r.Take(']') {
		return true
	}
	array, outer := r.open(), r.current
	for {
		if c := r.Peek(); c == '{' || c == '[' {
			r.enter(array, outer)
		}
		ok := r.value(n, depth)
		r.current = outer
		if !ok {
			return false
		}
		if more, ok := r.More(']'); !more {
			r.close(array)
			return ok
		}
	}
}

func (r *run) value(n *node, depth int) bool {
	c := r.Peek()
	switch {
	case c == '{' && len(n.children) == 0:
		return r.Skip(depth)
	case c == '{':
		return r.object(n, depth+1)
	case c == '[':
		return r.array(n, depth+1)
	case n.field == nil:
		return r.Skip(depth)
	case c == '"':
		text, escaped, ok := r.Scanner.Text()
		if escaped && ok {
			r.text = scan.Unescape(r.text[:0], text)
			text = r.text
		}
		if ok {
			r.string(n.field, text)
		}
		return ok
	}
	literal, ok := r.Literal(c)
	if ok {
		r.other(n.field, literal)
	}
	return ok
}

// string records the clauses that hold for a string.
func (r *run) string(f *field, text []byte) {
	r.note(f.any)
	if len(f.texts) > 0 {
		r.note(f.texts[string(text)])
	}
	r.scalar = value{kind: isText, text: text}
	r.ask(f, &r.scalar)
}

// other records the clauses that hold for a number, true, false or null.
func (r *run) other(f *field, literal []byte) {
	r.note(f.any)
	r.note(f.literals[string(literal)])
	r.scalar = value{kind: isLiteral, text: literal}
	if c := literal[0]; (c < 'a' || c > 'z') && len(f.numbers)+len(f.rest) > 0 {
		if n, ok := micros(literal); ok {
			r.scalar.kind, r.scalar.micros = isNumber, n
			r.note(f.numbers[n])
		}
	}
	r.ask(f, &r.scalar)
}

// ask records those of the remaining clauses that hold for v.
func (r *run) ask(f *field, v *value) {
	for i, id := range f.rest {
		if r.matcher.clauses[id].meets(v) {
			r.note(f.rest[i : i+1])
		}
	}
	if len(f.addresses) == 0 {
		return
	}
	if address, ok := parseAddress(string(v.text)); ok && v.kind == isText {
		v.kind, v.address = isAddress, address
	}
	for i, id := range f.addresses {
		if r.matcher.clauses[id].meets(v) {
			r.note(f.addresses[i : i+1])
		}
	}
}

// meets reports whether an operator of c matches v.
func (c *clause) meets(v *value) bool {
	for _, t := range c.terms {
		if t.match(v) {
			return true
		}
	}
	for _, t := range c.blocks {
		if t.match(v) {
			return true
		}
	}
	return false
}
