package schema

import (
	"fmt"
	"go/token"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// GoTypes returns a Go file of the given package with types for the whole event and its objects,
// for encoding/json. A pointer is nil if the field is missing or null. A field that was seen with
// different types is any.
func (s *Schema) GoTypes(pkg string) ([]byte, error) {
	if !token.IsIdentifier(pkg) {
		return nil, fmt.Errorf("package %q: want an identifier", pkg)
	}
	g := &generator{taken: make(map[string]bool)}
	g.declare(exported(title(s.DetailType))+"Event", s.event())
	var b strings.Builder
	fmt.Fprintf(&b, "// Package %s has the types of %s, version %d.\npackage %s\n\n", pkg, s.Name(), s.Version, pkg)
	if g.usesTime {
		b.WriteString("import \"time\"\n\n")
	}
	b.WriteString(strings.Join(g.declarations, "\n"))
	return []byte(b.String()), nil
}

// A generator collects declarations of struct types.
type generator struct {
	declarations []string
	taken        map[string]bool // names of types
	usesTime     bool
}

// declare declares a struct for an object and returns its name.
func (g *generator) declare(name string, s *Shape) string {
	name = free(g.taken, name)
	at := len(g.declarations)
	g.declarations = append(g.declarations, "")
	var b strings.Builder
	fmt.Fprintf(&b, "type %s struct {\n", name)
	var lines []fieldLine
	fields := make(map[string]bool)
	for _, jsonName := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[jsonName]
		if !taggable(jsonName) {
			writeFields(&b, lines)
			lines = nil
			fmt.Fprintf(&b, "\t// %q cannot be named in a tag of encoding/json.\n", jsonName)
			continue
		}
		field := free(fields, exported(jsonName))
		lines = append(lines, fieldLine{field, g.fieldType(name+field, f), tag(jsonName, f.Optional)})
	}
	writeFields(&b, lines)
	b.WriteString("}\n")
	g.declarations[at] = b.String()
	return name
}

// A fieldLine is a line of a struct.
type fieldLine struct{ name, typ, tag string }

// writeFields writes lines in columns, as gofmt does. It replaces go/format, whose parser and printer
// would add half a megabyte to the tool.
func writeFields(b *strings.Builder, lines []fieldLine) {
	name, typ := 0, 0
	for _, l := range lines {
		name, typ = max(name, utf8.RuneCountInString(l.name)), max(typ, utf8.RuneCountInString(l.typ))
	}
	for _, l := range lines {
		fmt.Fprintf(b, "\t%-*s %-*s `json:%q`\n", name, l.name, typ, l.typ, l.tag)
	}
}

// fieldType returns the type of a field; name is for a struct, if it needs one.
func (g *generator) fieldType(name string, f *Field) string {
	t := g.goType(name, &f.Shape)
	if (f.Optional || f.Types.has(Null)) && t != "any" && t[0] != '[' && !strings.HasPrefix(t, "map[") {
		return "*" + t
	}
	return t
}

func (g *generator) goType(name string, s *Shape) string {
	switch s.Types &^ Null {
	case Boolean:
		return "bool"
	case Integer:
		return "int64"
	case Number:
		return "float64"
	case String:
		if s.Text.Format() == "date-time" {
			g.usesTime = true
			return "time.Time"
		}
		return "string"
	case Array:
		if s.Items == nil {
			return "[]any"
		}
		return "[]" + g.fieldType(name+"Item", &Field{Shape: *s.Items})
	case Object:
		if s.Values != nil {
			return "map[string]" + g.fieldType(name+"Value", &Field{Shape: *s.Values})
		}
		return g.declare(name, s)
	}
	return "any"
}

// free returns name, with the lowest number that makes it unique if it is taken.
func free(taken map[string]bool, name string) string {
	unique := name
	for i := 2; taken[unique]; i++ {
		unique = fmt.Sprintf("%s%d", name, i)
	}
	taken[unique] = true
	return unique
}

// exported turns a name into an exported Go identifier, such as "html_url" into HTMLURL.
func exported(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if upper := strings.ToUpper(word); isInitialism(upper) {
			b.WriteString(upper)
			continue
		}
		first := []rune(word)
		first[0] = unicode.ToUpper(first[0])
		b.WriteString(string(first))
	}
	if id := b.String(); token.IsIdentifier(id) && token.IsExported(id) {
		return id
	}
	return "Field" + b.String()
}

// isInitialism reports whether a word is written in capitals in Go.
// https://go.dev/wiki/CodeReviewComments#initialisms
func isInitialism(word string) bool {
	switch word {
	case "API", "CPU", "GUID", "HTML", "HTTP", "HTTPS", "ID", "IP", "JSON", "OS", "SHA", "SSH", "URI", "URL", "UUID", "XML":
		return true
	}
	return false
}

// taggable reports whether encoding/json accepts name in a tag.
func taggable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r)
	})
}

func tag(name string, optional bool) string {
	switch {
	case optional:
		return name + ",omitempty"
	case name == "-":
		return "-,"
	}
	return name
}
