package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Types is a set of JSON types.
type Types uint8

// The JSON types. A position that holds integers and other numbers has Number
// only: every integer is one.
const (
	Null Types = 1 << iota
	Boolean
	Integer // written without fraction and exponent
	Number
	String
	Array
	Object

	// Any is the type of a position beyond the limits.
	Any = Null | Boolean | Number | String | Array | Object
)

// typeNames returns the names in JSON Schema, by bit.
func typeNames() []string {
	return []string{"null", "boolean", "integer", "number", "string", "array", "object"}
}

func (t Types) has(u Types) bool { return t&u != 0 }

// union returns the types of a position that can have those of t and those of u.
func (t Types) union(u Types) Types {
	t |= u
	if t.has(Number) {
		t &^= Integer
	}
	return t
}

// names returns the names of the types, null first.
func (t Types) names() []string {
	var names []string
	for i, name := range typeNames() {
		if t.has(1 << i) {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names joined by "|", such as "null|string".
func (t Types) String() string { return strings.Join(t.names(), "|") }

// MarshalJSON returns the names as a list.
func (t Types) MarshalJSON() ([]byte, error) { return json.Marshal(t.names()) }

// UnmarshalJSON reads a list of names.
func (t *Types) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*t = 0
	for _, name := range names {
		i := slices.Index(typeNames(), name)
		if i < 0 {
			return fmt.Errorf("type %q: want one of %s", name, strings.Join(typeNames(), ", "))
		}
		*t |= 1 << i
	}
	return nil
}

// Limits that bound the memory for an event type, whatever its events contain.
const (
	maxDepth     = 255  // levels, as in EventBridge's discoverer
	maxFields    = 256  // fields of an object; one with more counts as a map
	maxPositions = 5000 // of one event type
	maxValues    = 8    // of an enum
	maxValueLen  = 64   // bytes of a value of an enum
	enoughSeen   = 100  // events after which what all of them have in common counts as required
)

// A Shape describes one position in the events of a type: the union of all values seen there.
// The order in which shapes are merged does not matter.
type Shape struct {
	Types  Types             `json:"types"`
	Fields map[string]*Field `json:"fields,omitempty"` // of objects, by name
	Values *Shape            `json:"values,omitempty"` // of objects with too many names: the union of their members
	Items  *Shape            `json:"items,omitempty"`  // of arrays; nil if all were empty
	Text   *Text             `json:"text,omitempty"`   // of strings
}

// A Field is a member of an object.
type Field struct {
	Shape
	Optional bool `json:"optional,omitempty"` // whether an object without it was seen
}

// A Text describes the strings at a position.
type Text struct {
	Seen     int      `json:"seen"`               // number of events, counted up to enoughSeen
	Values   []string `json:"values,omitempty"`   // sorted; none if there were too many
	Many     bool     `json:"many,omitempty"`     // whether they are too many or too long for an enum
	DateTime bool     `json:"dateTime,omitempty"` // all are RFC 3339 date-times
	URI      bool     `json:"uri,omitempty"`      // all are absolute URIs (RFC 3986)
}

// known reports whether s has a type other than null: if only null was seen, the type of other
// values is unknown.
func (s *Shape) known() bool {
	return s.Types != Null && (s.Types != Any || s.Fields != nil || s.Items != nil)
}

// Format returns "date-time", "uri" or "".
func (t *Text) Format() string {
	switch {
	case t == nil:
		return ""
	case t.DateTime:
		return "date-time"
	case t.URI:
		return "uri"
	}
	return ""
}

// Enum returns the allowed values, sorted, or nil if too few events, or too many different values,
// were seen to tell.
func (t *Text) Enum() []string {
	if t == nil || t.Many || t.Seen < enoughSeen || t.Format() != "" {
		return nil
	}
	return t.Values
}

// Merge returns the shape of positions described by a or b, and changes neither. It is commutative
// and associative. It is idempotent except for the counts that enums depend on. nil describes
// nothing.
func Merge(a, b *Shape) *Shape {
	if a == nil {
		return b.clone()
	}
	merged := a.clone()
	if b != nil {
		room := maxPositions
		merged.merge(b, &room)
	}
	return merged
}

func (s *Shape) clone() *Shape {
	if s == nil {
		return nil
	}
	c := &Shape{Types: s.Types, Values: s.Values.clone(), Items: s.Items.clone(), Text: s.Text.clone()}
	if s.Fields != nil {
		c.Fields = make(map[string]*Field, len(s.Fields))
		for name, f := range s.Fields {
			c.Fields[name] = &Field{Shape: *f.Shape.clone(), Optional: f.Optional}
		}
	}
	return c
}

// loose returns s with types only, without anything that is required.
func (s *Shape) loose() *Shape {
	if s == nil || !s.known() {
		return s
	}
	l := &Shape{Types: s.Types | Null, Values: s.Values.loose(), Items: s.Items.loose()}
	if s.Fields != nil {
		l.Fields = make(map[string]*Field, len(s.Fields))
		for name, f := range s.Fields {
			l.Fields[name] = &Field{Shape: *f.Shape.loose(), Optional: true}
		}
	}
	return l
}

func (t *Text) clone() *Text {
	if t == nil {
		return nil
	}
	c := *t
	c.Values = slices.Clone(t.Values)
	return &c
}

// positions counts the shapes in s.
func (s *Shape) positions() int {
	if s == nil {
		return 0
	}
	n := 1 + s.Values.positions() + s.Items.positions()
	for _, f := range s.Fields {
		n += f.positions()
	}
	return n
}

// merge merges o into s, and reports whether that changed the schema. room is how many positions
// may still be added.
func (s *Shape) merge(o *Shape, room *int) bool {
	types := s.Types.union(o.Types)
	changed := types != s.Types
	if o.Types.has(Object) && s.mergeObject(o, room) {
		changed = true
	}
	s.Types = types
	if s.Items == nil && o.Items != nil {
		s.Items = o.Items.clone()
		*room -= s.Items.positions()
		changed = true
	} else if o.Items != nil && s.Items.merge(o.Items, room) {
		changed = true
	}
	if s.Text == nil && o.Text != nil {
		s.Text = o.Text.clone()
	} else if o.Text != nil && s.Text.merge(o.Text) {
		changed = true
	}
	return changed
}

func (s *Shape) mergeObject(o *Shape, room *int) bool {
	if s.Values != nil || o.Values != nil {
		return s.mergeMap(o, room)
	}
	changed, first := false, !s.Types.has(Object)
	if s.Fields == nil {
		s.Fields = make(map[string]*Field, len(o.Fields))
	}
	for name, f := range s.Fields {
		if o.Fields[name] == nil && !f.Optional {
			f.Optional, changed = true, true
		}
	}
	for name, f := range o.Fields {
		if known := s.Fields[name]; known != nil {
			optional := known.Optional || f.Optional
			changed = known.merge(&f.Shape, room) || changed || optional != known.Optional
			known.Optional = optional
			continue
		}
		if *room -= f.positions(); *room < 0 || len(s.Fields) >= maxFields {
			return s.mergeMap(o, room)
		}
		s.Fields[name] = &Field{Shape: *f.Shape.clone(), Optional: f.Optional || !first}
		changed = true
	}
	return changed
}

// mergeMap merges objects whose names are data, not fields.
func (s *Shape) mergeMap(o *Shape, room *int) bool {
	changed := s.Values == nil
	if s.Values == nil {
		s.Values = &Shape{}
	}
	into := func(value *Shape) {
		if value != nil && s.Values.merge(value, room) {
			changed = true
		}
	}
	for _, fields := range []map[string]*Field{s.Fields, o.Fields} {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			into(&fields[name].Shape)
		}
	}
	into(o.Values)
	s.Fields = nil
	return changed
}

// merge merges o into t, and reports whether that changed the schema.
func (t *Text) merge(o *Text) bool {
	format, enum := t.Format(), t.Enum()
	t.Seen = min(t.Seen+o.Seen, enoughSeen)
	t.DateTime = t.DateTime && o.DateTime
	t.URI = t.URI && o.URI
	if t.Many = t.Many || o.Many; !t.Many {
		all := slices.Concat(t.Values, o.Values)
		slices.Sort(all)
		t.Values = slices.Compact(all)
		t.Many = len(t.Values) > maxValues
	}
	if t.Many {
		t.Values = nil
	}
	return format != t.Format() || !slices.Equal(enum, t.Enum())
}
