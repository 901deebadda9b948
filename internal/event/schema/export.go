package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// object is a JSON object to encode; encoding/json sorts the names, so that the output is stable.
type object map[string]any

// JSONSchema returns s as JSON Schema draft 4 of the whole event, as
// EventBridge exports it.
func (s *Schema) JSONSchema() ([]byte, error) {
	doc := draft4(s.event())
	doc["$schema"] = "http://json-schema.org/draft-04/schema#"
	doc["title"] = s.Name()
	doc["x-amazon-events-source"] = s.Source
	doc["x-amazon-events-detail-type"] = s.DetailType
	return json.MarshalIndent(doc, "", "  ")
}

// draft4 returns the schema of a position. It can combine keywords for different types, because
// each applies only to values of its type.
func draft4(s *Shape) object {
	o := object{}
	if !s.known() {
		return o
	}
	o["type"] = s.Types.names()
	if len(s.Types.names()) == 1 {
		o["type"] = s.Types.String()
	}
	if format := s.Text.Format(); format != "" {
		o["format"] = format
	}
	if enum := s.Text.Enum(); enum != nil && s.Types&^Null == String {
		o["enum"] = enumOf(s, enum)
	}
	if s.Items != nil {
		o["items"] = draft4(s.Items)
	}
	addFields(o, s, draft4)
	return o
}

// enumOf returns the values of an enum, with null where s has it.
func enumOf(s *Shape, enum []string) []any {
	var values []any
	for _, value := range enum {
		values = append(values, value)
	}
	if s.Types.has(Null) {
		values = append(values, nil)
	}
	return values
}

// addFields adds the fields of s, each exported by export.
func addFields(o object, s *Shape, export func(*Shape) object) {
	if s.Values != nil {
		o["additionalProperties"] = export(s.Values)
	}
	if len(s.Fields) == 0 {
		return
	}
	properties := object{}
	var required []string
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[name]
		properties[name] = export(&f.Shape)
		if !f.Optional {
			required = append(required, name)
		}
	}
	o["properties"] = properties
	if required != nil {
		o["required"] = required
	}
}

// OpenAPI returns s as an OpenAPI 3.0 document. As in EventBridge it has the component AWSEvent, the
// whole event, and one for the detail, named after the detail type.
func (s *Schema) OpenAPI() ([]byte, error) {
	name := title(s.DetailType)
	if name == "" || name == "AWSEvent" {
		name = "Detail"
	}
	whole := s.event()
	detail := openAPI(&whole.Fields["detail"].Shape)
	event := openAPI(whole)
	event["properties"].(object)["detail"] = object{"$ref": "#/components/schemas/" + name}
	event["x-amazon-events-source"] = s.Source
	event["x-amazon-events-detail-type"] = s.DetailType
	return json.MarshalIndent(object{
		"openapi":    "3.0.0",
		"info":       object{"title": s.Name(), "version": fmt.Sprintf("%d.0.0", s.Version)},
		"paths":      object{},
		"components": object{"schemas": object{"AWSEvent": event, name: detail}},
	}, "", "  ")
}

// openAPI returns the schema of a position. In OpenAPI 3.0 a schema has only one type, and null is a
// flag.
func openAPI(s *Shape) object {
	var all []object
	for i := range typeNames() {
		if t := Types(1 << i); t != Null && s.Types.has(t) {
			all = append(all, openAPIType(s, t))
		}
	}
	switch {
	case !s.known():
		return object{"nullable": true}
	case len(all) == 1:
		return all[0]
	}
	return object{"anyOf": all}
}

func openAPIType(s *Shape, t Types) object {
	o := object{"type": t.String()}
	if s.Types.has(Null) {
		o["nullable"] = true
	}
	switch t {
	case Integer:
		o["format"] = "int64"
	case String:
		if format := s.Text.Format(); format != "" {
			o["format"] = format
		}
		if enum := s.Text.Enum(); enum != nil {
			o["enum"] = enumOf(s, enum)
		}
	case Array:
		o["items"] = object{}
		if s.Items != nil {
			o["items"] = openAPI(s.Items)
		}
	case Object:
		addFields(o, s, openAPI)
	}
	return o
}
