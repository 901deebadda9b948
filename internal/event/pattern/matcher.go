package pattern

import (
	"slices"
	"strings"
	"sync"
)

// A matcher is the branches of many rules, arranged for one pass over an event:
// a tree of the names that any of them mentions, with the clauses of a field
// where its path ends.
//
// The clauses that an event meets are noted while it is read. Each branch waits
// at one of its clauses, the one that fewest branches share, and is looked at
// only when that one was met.
type matcher struct {
	root    *node
	clauses []*clause
	absence []int32   // by clause with exists: false, the id that notes any value of its field; else -1
	waiting [][]int32 // by clause, the branches that wait there
	always  []int32   // branches that need nothing to be there
	ways    []way
	rules   int
	pool    sync.Pool // of *run
}

// A way is a branch with its clauses by id.
type way struct {
	rule    int
	clauses []int32
}

// A node is a name in the paths of fields.
type node struct {
	children map[string]*node
	field    *field // nil where no path ends
}

// A field holds the clauses about it, by id, found by what the value is.
type field struct {
	texts     map[string][]int32
	numbers   map[int64][]int32
	literals  map[string][]int32
	any       []int32 // met by every value
	rest      []int32 // to be asked one by one
	addresses []int32 // to be asked one by one, about an address if the value is one
}

func newMatcher(rules [][]branch) *matcher {
	m := &matcher{root: &node{}, rules: len(rules)}
	ids := make(map[string]int32)
	shared := make(map[int32]int)
	for rule, branches := range rules {
		for _, b := range branches {
			w := way{rule: rule}
			for _, c := range b {
				id := m.intern(ids, c)
				shared[id]++
				w.clauses = append(w.clauses, id)
			}
			m.ways = append(m.ways, w)
		}
	}
	m.waiting = make([][]int32, len(m.clauses))
	for i, w := range m.ways {
		m.wait(int32(i), w, shared)
	}
	m.pool.New = func() any { return newRun(m) }
	return m
}

// wait puts way i where it is looked at.
func (m *matcher) wait(i int32, w way, shared map[int32]int) {
	at := int32(-1)
	for _, id := range w.clauses {
		if m.absence[id] < 0 && (at < 0 || shared[id] < shared[at]) {
			at = id
		}
	}
	if at < 0 {
		m.always = append(m.always, i)
	} else {
		m.waiting[at] = append(m.waiting[at], i)
	}
}

// intern returns the id of c; clauses that say the same share one.
func (m *matcher) intern(ids map[string]int32, c *clause) int32 {
	key := c.path + "\x00" + c.source
	if id, ok := ids[key]; ok {
		return id
	}
	f := m.fieldAt(c.path)
	id := m.add(c)
	f.index(id, c)
	ids[key] = id
	if c.absent {
		anyKey := c.path + "\x00any"
		anyID, ok := ids[anyKey]
		if !ok {
			anyID = m.add(&clause{path: c.path, present: true})
			f.any = append(f.any, anyID)
			ids[anyKey] = anyID
		}
		m.absence[id] = anyID
	}
	return id
}

func (m *matcher) add(c *clause) int32 {
	m.clauses = append(m.clauses, c)
	m.absence = append(m.absence, -1)
	return int32(len(m.clauses) - 1)
}

// fieldAt returns the field at path, making the nodes on the way. A dot inside
// a name is a step like any other, as in AWS's engine.
func (m *matcher) fieldAt(path string) *field {
	n := m.root
	for name := range strings.SplitSeq(path, ".") {
		child := n.children[name]
		if child == nil {
			child = &node{}
			if n.children == nil {
				n.children = make(map[string]*node)
			}
			n.children[name] = child
		}
		n = child
	}
	if n.field == nil {
		n.field = &field{texts: map[string][]int32{}, numbers: map[int64][]int32{}, literals: map[string][]int32{}}
	}
	return n.field
}

func (f *field) index(id int32, c *clause) {
	for _, text := range c.texts {
		f.texts[text] = append(f.texts[text], id)
	}
	for _, n := range c.numbers {
		f.numbers[n] = append(f.numbers[n], id)
	}
	for _, literal := range c.literals {
		f.literals[literal] = append(f.literals[literal], id)
	}
	if c.present {
		f.any = append(f.any, id)
	}
	if len(c.blocks) > 0 {
		f.addresses = append(f.addresses, id)
	} else if len(c.terms) > 0 {
		f.rest = append(f.rest, id)
	}
}

// child returns the node of a member's name, or nil if no pattern names it.
func (n *node) child(name []byte) *node {
	if c, ok := n.children[string(name)]; ok || len(n.children) == 0 {
		return c
	}
	if !slices.Contains(name, '.') {
		return nil
	}
	for step := range strings.SplitSeq(string(name), ".") {
		if n = n.children[step]; n == nil {
			return nil
		}
	}
	return n
}
