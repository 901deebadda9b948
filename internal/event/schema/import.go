package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseOpenAPI reads the OpenAPI 3 document, with the component AWSEvent, that EventBridge exports for
// a discovered schema. It also reads the output of [Schema.OpenAPI], except for version and time,
// which the document does not contain, and for details that a tentative schema leaves out.
func ParseOpenAPI(document []byte) (*Schema, error) {
	var d openAPIDocument
	if err := decode(document, &d); err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	whole, ok := d.Components.Schemas["AWSEvent"]
	if !ok {
		return nil, errors.New("OpenAPI document: want a component AWSEvent")
	}
	s := &Schema{Source: whole.Source, DetailType: whole.DetailType, Detail: &Shape{Types: Any}}
	if s.Source == "" || s.DetailType == "" {
		return nil, errors.New("OpenAPI document: AWSEvent: want x-amazon-events-source and x-amazon-events-detail-type")
	}
	if detail := whole.Properties["detail"]; detail != nil {
		r := reader{components: d.Components.Schemas, room: maxPositions}
		s.Detail = r.shape(detail, 0)
	}
	return s, nil
}

type openAPIDocument struct {
	Components struct {
		Schemas map[string]*openAPISchema `json:"schemas"`
	} `json:"components"`
}

// An openAPISchema is the part of OpenAPI's schemas that EventBridge and Mayfly use.
type openAPISchema struct {
	Ref        string                    `json:"$ref"`
	Type       string                    `json:"type"`
	Nullable   bool                      `json:"nullable"`
	Format     string                    `json:"format"`
	Enum       []any                     `json:"enum"`
	AnyOf      []*openAPISchema          `json:"anyOf"`
	OneOf      []*openAPISchema          `json:"oneOf"`
	Items      *openAPISchema            `json:"items"`
	Properties map[string]*openAPISchema `json:"properties"`
	Values     json.RawMessage           `json:"additionalProperties"` // a schema, or whether there may be any
	Required   []string                  `json:"required"`
	Source     string                    `json:"x-amazon-events-source"`
	DetailType string                    `json:"x-amazon-events-detail-type"`
}

// A reader resolves references. References may form cycles, so it follows each one only once on a
// path. They may also make a small document expand to a huge one, so the number of positions is
// limited.
type reader struct {
	components map[string]*openAPISchema
	room       int
	within     []string // references on the path to the current position
}

// shape returns the shape of o. Positions beyond the limits become Any.
func (r *reader) shape(o *openAPISchema, depth int) *Shape {
	r.room--
	switch {
	case o == nil || depth > maxDepth || r.room < 0:
		return &Shape{Types: Any}
	case o.Ref != "":
		return r.referred(o.Ref, depth)
	}
	s := &Shape{}
	if o.Nullable {
		s.Types = Null
	}
	for _, one := range append(o.AnyOf, o.OneOf...) {
		room := r.room
		s.merge(r.shape(one, depth+1), &room)
	}
	switch o.Type {
	case "boolean":
		s.Types |= Boolean
	case "integer":
		s.Types |= Integer
	case "number":
		s.Types |= Number
	case "string":
		s.Types |= String
		s.Text = textOf(o)
	case "array":
		s.Types |= Array
		r.array(s, o, depth)
	case "object":
		s.Types |= Object
		r.object(s, o, depth)
	}
	if s.Types == 0 {
		s.Types = Any
	}
	return s
}

func (r *reader) referred(ref string, depth int) *Shape {
	if slices.Contains(r.within, ref) {
		return &Shape{Types: Any}
	}
	r.within = append(r.within, ref)
	defer func() { r.within = r.within[:len(r.within)-1] }()
	return r.shape(r.components[strings.TrimPrefix(ref, "#/components/schemas/")], depth+1)
}

func textOf(o *openAPISchema) *Text {
	t := &Text{DateTime: o.Format == "date-time", URI: o.Format == "uri", Many: len(o.Enum) == 0}
	for _, value := range o.Enum {
		if text, ok := value.(string); ok {
			t.Values = append(t.Values, text)
		}
	}
	if !t.Many {
		t.Seen = enoughSeen
	}
	return t
}

func (r *reader) array(s *Shape, o *openAPISchema, depth int) {
	if o.Items != nil && (o.Items.Type != "" || o.Items.Ref != "" || len(o.Items.AnyOf)+len(o.Items.OneOf) > 0 || o.Items.Nullable) {
		s.Items = r.shape(o.Items, depth+1)
	}
}

func (r *reader) object(s *Shape, o *openAPISchema, depth int) {
	var values *openAPISchema
	if decode(o.Values, &values) == nil && values != nil {
		s.Values = r.shape(values, depth+1)
		return
	}
	required := map[string]bool{}
	for _, name := range o.Required {
		required[name] = true
	}
	for name, field := range o.Properties {
		if s.Fields == nil {
			s.Fields = map[string]*Field{}
		}
		s.Fields[name] = &Field{Shape: *r.shape(field, depth+1), Optional: !required[name]}
	}
}
