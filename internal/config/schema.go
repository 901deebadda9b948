package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A schema is the part of JSON Schema that mayfly.yaml needs. It is draft 7, which editors
// support best.
type schema struct {
	Draft       string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        any               `json:"type,omitempty"`
	Properties  map[string]schema `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Others      any               `json:"additionalProperties,omitempty"` // false or a schema
	Items       *schema           `json:"items,omitempty"`
	Enum        []string          `json:"enum,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Minimum     json.Number       `json:"minimum,omitempty"`
	Default     any               `json:"default,omitempty"`
}

// JSONSchema returns the JSON Schema of mayfly.yaml, for editors: put
//
//	# yaml-language-server: $schema=mayfly.schema.json
//
// at the top of the file.
func JSONSchema() []byte {
	s := schemaOf(reflect.TypeFor[Config]())
	s.Draft, s.Title = "http://json-schema.org/draft-07/schema#", FileName
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // a mistake in a tag: the schema depends on nothing else
	}
	return append(out, '\n')
}

// schemaOf returns the schema of a section.
func schemaOf(t reflect.Type) schema {
	s := schema{Type: "object", Properties: map[string]schema{}, Others: false}
	for _, f := range fieldsOf(t) {
		s.Properties[f.key] = f.schema()
		if f.required {
			s.Required = append(s.Required, f.key)
		}
	}
	return s
}

// schema returns the schema of the value of one key. A key that is not required may be left
// empty, which YAML reads as null.
func (f field) schema() (s schema) {
	switch {
	case f.typ == reflect.TypeFor[*pattern.Pattern]():
		s = schema{Type: "object"}
	case f.typ.Kind() == reflect.Struct:
		s = schemaOf(f.typ)
	case f.typ.Kind() == reflect.Map:
		s = schema{Type: "object", Others: scalarSchema(f.typ.Elem())}
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct:
		items := schemaOf(f.typ.Elem())
		s = schema{Type: "array", Items: &items}
	case f.typ.Kind() == reflect.Slice:
		items := scalarSchema(f.typ.Elem())
		s = schema{Type: "array", Items: &items}
	default:
		s = scalarSchema(f.typ)
	}
	s.Description, s.Enum, s.Minimum = f.doc, f.enum, json.Number(f.min)
	if f.standard != "" {
		s.Default = f.jsonDefault()
	}
	if name, ok := s.Type.(string); ok && !f.required && len(f.enum) == 0 {
		s.Type = []string{name, "null"}
	}
	if f.typ.Kind() == reflect.Struct {
		if short := shortOf(f.typ); short != nil {
			s.Type = append(s.Type.([]string), kindOf(short.typ).json)
		}
	}
	return s
}

func scalarSchema(t reflect.Type) schema {
	k := kindOf(t)
	if t == reflect.TypeFor[pool.Ulimit]() {
		return schema{Type: []string{"integer", "string"}, Pattern: k.form}
	}
	return schema{Type: k.json, Pattern: k.form}
}

// jsonDefault returns the default as a JSON value.
func (f field) jsonDefault() any {
	switch f.typ.Kind() {
	case reflect.Slice:
		return f.defaults()
	case reflect.Bool:
		return f.standard == "true"
	}
	if _, err := strconv.ParseFloat(f.standard, 64); err == nil && f.typ != reflect.TypeFor[time.Duration]() {
		return json.Number(f.standard)
	}
	return f.standard
}
