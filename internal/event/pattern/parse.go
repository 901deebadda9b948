package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on patterns. AWS's engine takes 256 fields, EventBridge 1,000
// combinations of $or.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-content-based-filtering.html
const (
	maxSource   = 256 << 10
	maxFields   = 256
	maxBranches = 1000
)

// A clause is a pattern's condition on one field: one of these must hold.
type clause struct {
	path     string   // names joined by dots
	texts    []string // allowed strings
	numbers  []int64  // allowed numbers, in millionths
	literals []string // allowed numbers, true, false and null, as written
	terms    []term   // operators
	blocks   []block  // addresses
	present  bool     // {"exists": true}
	absent   bool     // {"exists": false}
	numeric  bool     // an operator compares numbers here
	source   string   // the list, as written
}

// finish applies a peculiarity of AWS's engine to fields with addresses in their
// list: a value that is an address is then compared only as an address, not as
// text. But if the list also compares numbers, no value is an address.
func (c *clause) finish() {
	c.numeric = c.numeric || len(c.numbers) > 0
	if len(c.blocks) == 0 {
		return
	}
	if c.numeric {
		c.blocks = nil
		return
	}
	c.texts = slices.DeleteFunc(c.texts, func(text string) bool {
		_, ok := parseAddress(text)
		return ok
	})
}

// A branch is one way to match a pattern: a clause for each of its fields, in
// the order of their paths. A pattern without $or has one branch.
type branch []*clause

// fields is an unfinished branch, by path.
type fields map[string]*clause

// A parser compiles the tree of a pattern. Faults leave it as a panic with a
// *SyntaxError, which parse catches.
type parser struct {
	src  []byte
	path []string
	or   bool // whether $or is an operator, not the name of a field
}

func (p *parser) fail(at int, reason, want string) {
	panic(faultAt(p.src, at, strings.Join(p.path, "."), reason, want))
}

// parse compiles src. As in AWS's engine, a pattern that is invalid with $or as
// an operator is tried again with "$or" as the name of a field.
func parse(src []byte) ([]branch, error) {
	if len(src) > maxSource {
		return nil, faultAt(src, 0, "", fmt.Sprintf("%d bytes", len(src)), fmt.Sprintf("at most %d", maxSource))
	}
	t, fault := readTree(src)
	if fault != nil {
		return nil, fault
	}
	branches, fault := (&parser{src: src, or: true}).compile(t)
	if fault == nil {
		return branches, nil
	}
	if branches, again := (&parser{src: src}).compile(t); again == nil {
		return branches, nil
	}
	return nil, fault
}

func (p *parser) compile(t *tree) (branches []branch, fault *SyntaxError) {
	defer func() {
		if f := recover(); f != nil {
			var ok bool
			if fault, ok = f.(*SyntaxError); !ok {
				panic(f)
			}
		}
	}()
	if t.kind != '{' {
		p.fail(t.at, t.String(), `an object, such as {"source": ["github.com"]}`)
	}
	for _, f := range p.object(t, []fields{{}}, false) {
		if len(f) > maxFields {
			p.fail(t.at, fmt.Sprintf("%d fields", len(f)), fmt.Sprintf("at most %d", maxFields))
		}
		branches = append(branches, f.branch())
	}
	return branches, nil
}

func (f fields) branch() branch {
	b := make(branch, 0, len(f))
	for _, c := range f {
		b = append(b, c)
	}
	slices.SortFunc(b, func(x, y *clause) int { return strings.Compare(x.path, y.path) })
	return b
}

// object adds the conditions of t to each of all, in the order of the source: of
// two lists for a path the later one counts. within means that t is inside $or.
func (p *parser) object(t *tree, all []fields, within bool) []fields {
	if len(t.members) == 0 {
		p.fail(t.at, "an empty object", "at least one field")
	}
	for _, m := range t.members {
		switch {
		case m.name == "$or" && p.or:
			all = p.alternatives(m, all)
			continue
		case within && reserved(m.name):
			p.fail(m.at, fmt.Sprintf("%q inside \"$or\"", m.name), "names of fields; a match expression goes into a field's list")
		}
		p.path = append(p.path, m.name)
		switch m.value.kind {
		case '{':
			all = p.object(m.value, all, within)
		case '[':
			p.list(m.value, all)
		default:
			p.fail(m.value.at, m.value.String(), fmt.Sprintf("a list, such as [%s], or an object", p.src[m.value.at:m.value.end]))
		}
		p.path = p.path[:len(p.path)-1]
	}
	return all
}

// alternatives compiles "$or": it combines each of all with each of the objects.
func (p *parser) alternatives(m member, all []fields) []fields {
	if m.value.kind != '[' || len(m.value.items) < 2 {
		p.fail(m.value.at, fmt.Sprintf("%s of \"$or\"", m.value), "a list of at least two objects")
	}
	var result []fields
	for _, item := range m.value.items {
		if item.kind != '{' {
			p.fail(item.at, fmt.Sprintf("%s in \"$or\"", item), "an object")
		}
		forked := make([]fields, len(all))
		for i, f := range all {
			forked[i] = make(fields, len(f))
			for path, c := range f {
				forked[i][path] = c
			}
		}
		result = append(result, p.object(item, forked, true)...)
		if len(result) > maxBranches {
			p.fail(m.at, fmt.Sprintf("more than %d combinations by \"$or\"", maxBranches), "fewer alternatives")
		}
	}
	return result
}

func (p *parser) list(t *tree, all []fields) {
	if len(t.items) == 0 {
		p.fail(t.at, "an empty list", "at least one value")
	}
	c := &clause{path: strings.Join(p.path, "."), source: string(p.src[t.at:t.end])}
	for _, item := range t.items {
		p.add(c, item)
	}
	c.finish()
	for _, f := range all {
		f[c.path] = c
	}
}

// reserved reports whether name must not be the name of a field inside $or.
// https://github.com/aws/event-ruler#the-or-primitive
func reserved(name string) bool {
	return slices.Contains(operators(), name) || slices.Contains([]string{
		"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
		"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
		"ip-address-in-range", "ip-address-not-in-range",
	}, name)
}
