package schema

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// inferTree returns the shape of one decoded JSON value.
func inferTree(tree any) *Shape {
	room := maxPositions
	s := infer(tree, 1, &room)
	s.seenOnce()
	return s
}

// seenOnce makes s count as one observation: a hundred elements of one array tell less about the
// next event than a hundred events.
func (s *Shape) seenOnce() {
	if s == nil {
		return
	}
	if s.Text != nil {
		s.Text.Seen = 1
	}
	s.Items.seenOnce()
	s.Values.seenOnce()
	for _, f := range s.Fields {
		f.seenOnce()
	}
}

// infer returns the shape of a value at depth. room is how many more positions are allowed; those
// beyond it become Any.
func infer(value any, depth int, room *int) *Shape {
	if *room--; depth > maxDepth || *room < 0 {
		return &Shape{Types: Any}
	}
	switch v := value.(type) {
	case nil:
		return &Shape{Types: Null}
	case bool:
		return &Shape{Types: Boolean}
	case json.Number:
		return &Shape{Types: numberType(v)}
	case string:
		return &Shape{Types: String, Text: newText(v)}
	case []any:
		s := &Shape{Types: Array}
		for _, item := range v {
			s.Items = inferInto(s.Items, item, depth+1, room)
		}
		return s
	case map[string]any:
		return inferObject(v, depth, room)
	}
	panic("not from encoding/json")
}

func inferObject(object map[string]any, depth int, room *int) *Shape {
	if len(object) > maxFields {
		s := &Shape{Types: Object}
		for _, value := range object {
			s.Values = inferInto(s.Values, value, depth+1, room)
		}
		return s
	}
	s := &Shape{Types: Object, Fields: make(map[string]*Field, len(object))}
	for name, value := range object {
		s.Fields[name] = &Field{Shape: *infer(value, depth+1, room)}
	}
	return s
}

// inferInto merges the shape of one of many values into that of the others.
func inferInto(others *Shape, value any, depth int, room *int) *Shape {
	left := *room
	s := infer(value, depth, room)
	if others == nil {
		return s
	}
	*room = left // merged positions need no additional room
	others.merge(s, room)
	return others
}

// numberType distinguishes integers from other numbers as JSON Schema draft 4 does, by how they are
// written.
func numberType(n json.Number) Types {
	if strings.ContainsAny(n.String(), ".eE") {
		return Number
	}
	return Integer
}

func newText(v string) *Text {
	t := &Text{Seen: 1, DateTime: isDateTime(v), URI: isURI(v)}
	if len(v) > maxValueLen {
		t.Many = true
	} else {
		t.Values = []string{v}
	}
	return t
}

// isDateTime reports whether v is a date-time of RFC 3339.
func isDateTime(v string) bool {
	var t time.Time
	return len(v) >= len("2006-01-02T15:04:05Z") && t.UnmarshalText([]byte(v)) == nil
}

// isURI reports whether v is an absolute URI of RFC 3986 with an authority, as opposed to a URI
// template such as GitHub's …/keys{/key_id}.
func isURI(v string) bool {
	if !strings.Contains(v, "://") || strings.ContainsFunc(v, notInURI) {
		return false
	}
	u, err := url.Parse(v)
	return err == nil && u.Scheme != "" && u.Host != ""
}

func notInURI(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r)
}
