package pattern

import "fmt"

// A tree is a JSON value of a pattern's source, and where it stands there. Only
// patterns are read into trees; events never are.
type tree struct {
	at, end int  // offsets of its first byte and after its last
	kind    byte // '{', '[', '"', '0' for a number, 't', 'f', 'n'
	text    string
	members []member // of an object, in order
	items   []*tree  // of an array
}

type member struct {
	at    int // offset of the name
	name  string
	value *tree
}

// String says what t is, for people.
func (t *tree) String() string {
	switch t.kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return fmt.Sprintf("string %q", t.text)
	case '0':
		return "number " + t.text
	}
	return t.text
}

// A reader makes a tree from the source of a pattern.
type reader struct{ scanner }

// readTree reads src, which must hold one JSON value and nothing else.
func readTree(src []byte) (*tree, *SyntaxError) {
	r := reader{scanner{data: src}}
	t, err := r.value(0)
	if err == nil && r.peek() != 0 || err == nil && r.pos < len(src) {
		return nil, r.fault("nothing after the pattern's closing brace")
	}
	return t, err
}

func (r *reader) fault(want string) *SyntaxError {
	reason := "the text ends here"
	if r.pos < len(r.data) {
		reason = fmt.Sprintf("%q is not valid JSON here", []rune(string(r.data[r.pos:min(r.pos+4, len(r.data))]))[0])
	}
	return faultAt(r.data, r.pos, "", reason, want)
}

func (r *reader) value(depth int) (*tree, *SyntaxError) {
	c := r.peek()
	t := &tree{at: r.pos, kind: c}
	if depth > maxDepth {
		return nil, faultAt(r.data, r.pos, "", "nesting is too deep", fmt.Sprintf("at most %d levels", maxDepth))
	}
	var err *SyntaxError
	switch c {
	case '{':
		err = r.object(t, depth+1)
	case '[':
		err = r.array(t, depth+1)
	case '"':
		t.text, err = r.quoted()
	default:
		err = r.scalar(t)
	}
	t.end = r.pos
	return t, err
}

func (r *reader) scalar(t *tree) *SyntaxError {
	literal, ok := r.literal(t.kind)
	if !ok {
		return r.fault("a JSON value")
	}
	t.text = string(literal)
	if t.kind == '-' || '0' <= t.kind && t.kind <= '9' {
		t.kind = '0'
	}
	return nil
}

func (r *reader) object(t *tree, depth int) *SyntaxError {
	r.pos++
	for !r.take('}') {
		if len(t.members) > 0 && !r.take(',') {
			return r.fault(`"," or "}"`)
		}
		if r.peek() != '"' {
			return r.fault("a name in double quotes")
		}
		m := member{at: r.pos}
		var err *SyntaxError
		if m.name, err = r.quoted(); err != nil {
			return err
		}
		if !r.take(':') {
			return r.fault(`":" after the name`)
		}
		if m.value, err = r.value(depth); err != nil {
			return err
		}
		t.members = append(t.members, m)
	}
	return nil
}

func (r *reader) array(t *tree, depth int) *SyntaxError {
	r.pos++
	for !r.take(']') {
		if len(t.items) > 0 && !r.take(',') {
			return r.fault(`"," or "]"`)
		}
		item, err := r.value(depth)
		if err != nil {
			return err
		}
		t.items = append(t.items, item)
	}
	return nil
}

func (r *reader) quoted() (string, *SyntaxError) {
	raw, _, ok := r.text()
	if !ok {
		return "", r.fault("a string with valid escapes, closed by a double quote")
	}
	return string(unescape(nil, raw)), nil
}
