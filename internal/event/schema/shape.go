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

	// Any is what is known of a position that is too deep to be looked at.
	Any = Null | Boolean | Number | String | Array | Object
)

// typeNames are the names in JSON Schema, by bit.
func typeNames() []string {
	return []string{"null", "boolean", "integer", "number", "string", "array", "object"}
}

func (t Types) has(u Types) bool { return t&u != 0 }

// union is the types of positions that hold t or u.
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

// String gives the names joined by "|", such as "null|string".
func (t Types) String() string { return strings.Join(t.names(), "|") }

// MarshalJSON gives the names as a list.
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

// Limits that keep what is remembered of an event type bounded, whatever comes.
const (
	maxDepth     = 255  // levels, as EventBridge's discoverer has it
	maxFields    = 256  // of one object; with more it is taken for a map
	maxPositions = 5000 // of one event type
	maxValues    = 8    // of an enum
	maxValueLen  = 64   // bytes of a value of an enum
	enoughSeen   = 100  // events before what all of them have is taken for what there must be
)

// A Shape is what is known of one position in the events of a type: the union
// of all that was seen there. Merging shapes gives the same in any order.
type Shape struct {
	Types  Types             `json:"types"`
	Fields map[string]*Field `json:"fields,omitempty"` // of objects, by name
	Values *Shape            `json:"values,omitempty"` // of objects with too many names: what any of them holds
	Items  *Shape            `json:"items,omitempty"`  // of arrays; nil if all were empty
	Text   *Text             `json:"text,omitempty"`   // of strings
}

// A Field is a member of an object.
type Field struct {
	Shape
	Optional bool `json:"optional,omitempty"` // some objects were seen without it
}

// A Text is what is known of the strings at a position.
type Text struct {
	Seen     int      `json:"seen"`               // in how many events, up to enough to judge by
	Values   []string `json:"values,omitempty"`   // sorted; none once there were too many
	Many     bool     `json:"many,omitempty"`     // too many different ones, or too long, for an enum
	DateTime bool     `json:"dateTime,omitempty"` // all are RFC 3339 date-times
	URI      bool     `json:"uri,omitempty"`      // all are absolute URIs (RFC 3986)
}

// known reports whether s says anything of the type: where only null was seen
// it is not known what is there when there is something.
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

// Enum returns the values the strings may have, sorted, or nil where there is
// no telling: few were seen, or many that differ.
func (t *Text) Enum() []string {
	if t == nil || t.Many || t.Seen < enoughSeen || t.Format() != "" {
		return nil
	}
	return t.Values
}

// Merge returns the shape of positions that hold what a or b describe. Neither
// is changed. It is commutative and associative, and but for the evidence for
// enums, which grows, idempotent. nil stands for nothing known.
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

// loose returns what s says of which types there are and where, and nothing of what
// there must be.
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

// merge merges o into s and reports whether that changed what a schema says.
// room is how many positions may still be added.
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

// merge merges o into t and reports whether that changed what a schema says.
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
