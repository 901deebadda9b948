package stack

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A tree is a template, or a part of one, as data.
type tree = map[string]any

// Read reads a template in YAML into maps, lists, strings, numbers and booleans. Intrinsic
// functions become maps with one member, as in JSON: {"Ref": "Bus"},
// {"Fn::GetAtt": ["Bus", "Arn"]}.
func Read(body []byte) (map[string]any, error) {
	file, err := parser.ParseBytes(body, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	if len(file.Docs) != 1 {
		return nil, fmt.Errorf("reading the template: %d documents: want one", len(file.Docs))
	}
	value, err := valueOf(file.Docs[0].Body)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	t, ok := value.(tree)
	if !ok {
		return nil, fmt.Errorf("reading the template: a %T: want keys and values", value)
	}
	return t, nil
}

// valueOf returns a node as data.
func valueOf(n ast.Node) (any, error) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.MappingNode:
		if len(n.Values) == 1 {
			return valueOf(n.Values[0])
		}
		return membersOf(n.Values)
	case *ast.MappingValueNode:
		if text, ok := colonText(n); ok {
			return text, nil
		}
		return membersOf([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, item := range n.Values {
			value, err := valueOf(item)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case *ast.TagNode:
		return intrinsic(n)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return nil, fmt.Errorf("line %d: %v: want the value itself", n.GetToken().Position.Line, n.Type())
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case ast.ScalarNode:
		return n.GetValue(), nil
	}
	return nil, fmt.Errorf("line %d: %v: want what JSON could say too", n.GetToken().Position.Line, n.Type())
}

// colonText rejoins a text that go-yaml 1.19 splits: in a list inside braces, such as
// {Action: [logs:PutLogEvents]}, its lexer sees a mapping, although in YAML a colon belongs to
// the text unless a space follows.
func colonText(n *ast.MappingValueNode) (string, bool) {
	colon, value := n.Start.Position, n.Value.GetToken()
	if value == nil || n.Value.Type() != ast.StringType || value.Position.Line != colon.Line || value.Position.Column != colon.Column+1 {
		return "", false
	}
	return n.Key.GetToken().Value + ":" + value.Value, true
}

func membersOf(pairs []*ast.MappingValueNode) (any, error) {
	members := tree{}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		if _, twice := members[key]; twice {
			return nil, fmt.Errorf("line %d: key %q is there twice", pair.Key.GetToken().Position.Line, key)
		}
		value, err := valueOf(pair.Value)
		if err != nil {
			return nil, err
		}
		members[key] = value
	}
	return members, nil
}

// intrinsic returns the long form of a short one such as !Ref X.
func intrinsic(n *ast.TagNode) (any, error) {
	value, err := valueOf(n.Value)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(n.Start.Value, "!")
	text, isText := value.(string)
	switch {
	case name == "Ref" || name == "Condition":
		return tree{name: value}, nil
	case name == "GetAtt" && isText:
		id, attribute, _ := strings.Cut(text, ".")
		return tree{"Fn::GetAtt": []any{id, attribute}}, nil
	}
	return tree{"Fn::" + name: value}, nil
}

// Resources returns the types of a template's resources by logical id.
func Resources(body []byte) (map[string]string, error) {
	t, err := Read(body)
	if err != nil {
		return nil, err
	}
	types := map[string]string{}
	for id, r := range resources(t) {
		types[id] = r.kind
	}
	return types, nil
}

// A resource is a resource of a template.
type resource struct {
	kind       string // AWS::Events::Rule
	properties tree
}

// resources returns the resources of t by logical id.
func resources(t tree) map[string]resource {
	all := map[string]resource{}
	for id, r := range at(t, "Resources") {
		r, _ := r.(tree)
		kind, _ := r["Type"].(string)
		all[id] = resource{kind, at(r, "Properties")}
	}
	return all
}

// at returns the map at the path keys, or nil.
func at(t tree, keys ...string) tree {
	for _, key := range keys {
		t, _ = t[key].(tree)
	}
	return t
}

// text returns value if it is a string, else "".
func text(value any) string {
	s, _ := value.(string)
	return s
}

// list returns value if it is a list, else a list with value, because policies allow either.
// For nil it returns an empty list.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	}
	return []any{value}
}
