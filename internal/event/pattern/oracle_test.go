package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// The oracle is the same language done the plain way: the whole event is read
// into fields, as AWS's engine does it, and every combination of fields is tried.
// It shares the operators with the matcher and nothing else.

// occurrence is a scalar of an event, with the index of each array it is in.
type occurrence struct {
	value  value
	within map[int]int
}

type oracle struct {
	dec    *json.Decoder
	fields map[string][]occurrence
	arrays int
}

// flatten returns the fields of event by path.
func flatten(event []byte) (map[string][]occurrence, error) {
	if !json.Valid(event) {
		return nil, errors.New("not JSON")
	}
	o := &oracle{dec: json.NewDecoder(bytes.NewReader(event)), fields: map[string][]occurrence{}}
	o.dec.UseNumber()
	first, err := o.dec.Token()
	if err != nil || first != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	if err := o.object(nil, nil); err != nil {
		return nil, err
	}
	if _, err := o.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the object")
	}
	return o.fields, nil
}

func (o *oracle) object(path []string, within map[int]int) error {
	for o.dec.More() {
		name, err := o.dec.Token()
		if err != nil {
			return err
		}
		if err := o.next(append(slices.Clone(path), name.(string)), within); err != nil {
			return err
		}
	}
	_, err := o.dec.Token()
	return err
}

func (o *oracle) array(path []string, within map[int]int) error {
	id := o.arrays
	o.arrays++
	for i := 0; o.dec.More(); i++ {
		inner := maps.Clone(within)
		if inner == nil {
			inner = map[int]int{}
		}
		inner[id] = i
		token, err := o.dec.Token()
		if err != nil {
			return err
		}
		if _, nested := token.(json.Delim); !nested {
			inner = within // scalars are not bound to their place
		}
		if err := o.token(token, path, inner); err != nil {
			return err
		}
	}
	_, err := o.dec.Token()
	return err
}

func (o *oracle) next(path []string, within map[int]int) error {
	token, err := o.dec.Token()
	if err != nil {
		return err
	}
	return o.token(token, path, within)
}

func (o *oracle) token(token json.Token, path []string, within map[int]int) error {
	v := value{kind: isLiteral}
	switch x := token.(type) {
	case json.Delim:
		if x == '{' {
			return o.object(path, within)
		}
		return o.array(path, within)
	case string:
		v.kind, v.text = isText, []byte(x)
	case json.Number:
		v.text = []byte(x.String())
		if n, ok := micros(v.text); ok {
			v.kind, v.micros = isNumber, n
		}
	case bool:
		v.text = []byte("false")
		if x {
			v.text = []byte("true")
		}
	case nil:
		v.text = []byte("null")
	}
	name := strings.Join(path, ".")
	o.fields[name] = append(o.fields[name], occurrence{v, within})
	return nil
}

// matches tries all branches of p on the fields of an event.
func matches(p *Pattern, fields map[string][]occurrence) bool {
	return slices.ContainsFunc(p.branches, func(b branch) bool { return satisfies(b, fields, map[int]int{}) })
}

func satisfies(b branch, fields map[string][]occurrence, chosen map[int]int) bool {
	if len(b) == 0 {
		return true
	}
	absent := b[0].absent
	for _, o := range fields[b[0].path] {
		merged, ok := merge(chosen, o.within)
		if !ok {
			continue
		}
		absent = false
		if accepts(b[0], o.value) && satisfies(b[1:], fields, merged) {
			return true
		}
	}
	return absent && satisfies(b[1:], fields, chosen)
}

func merge(chosen, within map[int]int) (map[int]int, bool) {
	merged := maps.Clone(chosen)
	for array, index := range within {
		if at, ok := chosen[array]; ok && at != index {
			return nil, false
		}
		merged[array] = index
	}
	return merged, true
}

func accepts(c *clause, v value) bool {
	if c.present ||
		v.kind == isText && slices.Contains(c.texts, string(v.text)) ||
		v.kind == isNumber && slices.Contains(c.numbers, v.micros) ||
		v.kind != isText && slices.Contains(c.literals, string(v.text)) {
		return true
	}
	if len(c.blocks) > 0 && v.kind == isText {
		if address, ok := parseAddress(string(v.text)); ok {
			v.kind, v.address = isAddress, address
		}
	}
	return c.meets(&v)
}
