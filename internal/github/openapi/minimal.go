package openapi

import (
	"fmt"
	"maps"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// Minimal returns a document of a schema of the description, such as "job", with
// every required member and no other, in the plainest values, and then those of
// with. It is for tests that need an answer of GitHub's and are about few of its
// members. It panics when there is no such schema.
func Minimal(schema string, with map[string]any) map[string]any {
	ref := load().Components.Schemas[schema]
	if ref == nil {
		panic(fmt.Sprintf("schema %q: want one of %q", schema, slices.Sorted(maps.Keys(load().Components.Schemas))))
	}
	doc := object(ref.Value)
	maps.Copy(doc, with)
	return doc
}

// plain returns the plainest value of s.
func plain(s *openapi3.Schema) any {
	switch {
	case s.Nullable:
		return nil
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AllOf) > 0:
		return plain(s.AllOf[0].Value)
	case len(s.AnyOf) > 0:
		return plain(s.AnyOf[0].Value)
	case len(s.OneOf) > 0:
		return plain(s.OneOf[0].Value)
	case s.Type.Is(openapi3.TypeObject):
		return object(s)
	case s.Type.Is(openapi3.TypeArray):
		return []any{}
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber):
		return 1
	case s.Type.Is(openapi3.TypeBoolean):
		return false
	case s.Format == "date-time":
		return "2026-01-31T12:00:00Z"
	case s.Format == "uri":
		return "https://api.github.com/x"
	case s.Format == "email":
		return "a@example.com"
	}
	return "x"
}

// object returns a document with the required members of s.
func object(s *openapi3.Schema) map[string]any {
	doc := map[string]any{}
	for _, name := range s.Required {
		doc[name] = "x" // stays for members called description, which have no schema left
		if member := s.Properties[name]; member != nil {
			doc[name] = plain(member.Value)
		}
	}
	return doc
}
