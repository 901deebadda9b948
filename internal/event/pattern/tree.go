package pattern

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/event/scan"
)

// A tree is a JSON value of a pattern's source with its position. Only patterns
// are read into trees, never events.
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

// String describes t for people.
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

// A reader parses the source of a pattern into a tree.
type reader struct{ scan.Scanner }

// readTree reads src, which must be exactly one JSON value.
func readTree(src []byte) (*tree, *SyntaxError) {
	r := reader{scan.Scanner{Data: src}}
	t, err := r.value(0)
	if err == nil && r.Peek() != 0 || err == nil && r.Pos < len(src) {
		return nil, r.fault("nothing after the pattern's closing brace")
	}
	return t, err
}

func (r *reader) fault(want string) *SyntaxError {
	reason := "the text ends here"
	if r.Pos < len(r.Data) {
		reason = fmt.Sprintf("%q is not valid JSON here", []rune(string(r.Data[r.Pos:min(r.Pos+4, len(r.Data))]))[0])
	}
	return faultAt(r.Data, r.Pos, "", reason, want)
}

func (r *reader) value(depth int) (*tree, *SyntaxError) {
	c := r.Peek()
	t := &tree{at: r.Pos, kind: c}
	if depth > scan.MaxDepth {
		return nil, faultAt(r.Data, r.Pos, "", "nesting is too deep", fmt.Sprintf("at most %d levels", scan.MaxDepth))
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
	t.end = r.Pos
	return t, err
}

func (r *reader) scalar(t *tree) *SyntaxError {
	literal, ok := r.Literal(t.kind)
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
	r.Pos++
	for !r.Take('}') {
		if len(t.members) > 0 && !r.Take(',') {
			return r.fault(`"," or "}"`)
		}
		if r.Peek() != '"' {
			return r.fault("a name in double quotes")
		}
		m := member{at: r.Pos}
		var err *SyntaxError
		if m.name, err = r.quoted(); err != nil {
			return err
		}
		if !r.Take(':') {
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
	r.Pos++
	for !r.Take(']') {
		if len(t.items) > 0 && !r.Take(',') {
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
	raw, _, ok := r.Text()
	if !ok {
		return "", r.fault("a string with valid escapes, closed by a double quote")
	}
	return string(scan.Unescape(nil, raw)), nil
}
