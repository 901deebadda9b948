package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// maxFile is larger than any sensible configuration.
const maxFile = 1 << 20

// A decoder fills a struct from YAML. It goes on after a fault, so that a person sees all
// mistakes in one run; a section with a fault is treated as missing, so that one mistake is
// not reported twice.
type decoder struct {
	file      string
	faults    Faults
	positions map[string]position
	need      []string // top-level sections to check for presence, see ReadPart
}

// decode reads src into c. Of the required sections only those in need must be present.
func decode(file string, src []byte, c *Config, need []string) *decoder {
	d := &decoder{file: file, positions: map[string]position{"": {1, 1}}, need: need}
	if len(src) > maxFile {
		d.faults = Faults{{File: file, Message: fmt.Sprintf("%d bytes: want at most %d", len(src), maxFile)}}
		return d
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // some editors write a byte order mark
	root, err := parse(src)
	if err != nil {
		d.syntax(err)
		d.tab(src)
		return d
	}
	if odd := oddNode(root); odd != nil {
		d.fault(odd, "%s: anchors, aliases, tags and merges are not supported: write the value itself", odd.Type())
		return d
	}
	d.section(root, reflect.ValueOf(c).Elem(), location{})
	return d
}

// parse returns the only document of src, or nil if src is empty.
func parse(src []byte) (ast.Node, error) {
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, err
	}
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			return nil, &yaml.SyntaxError{Message: "a second YAML document: want only one", Token: doc.Body.GetToken()}
		default:
			root = doc.Body
		}
	}
	return root, nil
}

// syntax records a fault that the YAML parser found.
func (d *decoder) syntax(err error) {
	fault := Fault{File: d.file, Line: 1, Column: 1, Message: err.Error()}
	var at yaml.Error
	if errors.As(err, &at) {
		fault.Message = at.GetMessage()
		if t := at.GetToken(); t != nil {
			fault.Line, fault.Column = t.Position.Line, t.Position.Column
		}
	}
	d.faults = append(d.faults, fault)
}

// tab replaces the parser's fault if a line is indented with a tab, because the parser's
// message does not mention tabs.
func (d *decoder) tab(src []byte) {
	for i, line := range strings.Split(string(src), "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if column := strings.IndexByte(indent, '\t'); column >= 0 && strings.TrimSpace(line) != "" {
			d.faults = Faults{{d.file, i + 1, column + 1, "a tab in the indentation: YAML allows only spaces"}}
			return
		}
	}
}

// oddNode returns the first anchor, alias, tag or merge key, or nil. Their values stand
// elsewhere in the file, so that a fault's position would mislead; a file of this size does
// not need them.
func oddNode(root ast.Node) ast.Node {
	var found oddFinder
	if root != nil {
		ast.Walk(&found, root)
	}
	return found.node
}

type oddFinder struct{ node ast.Node }

// Visit implements ast.Visitor.
func (f *oddFinder) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		f.node = n
	}
	if f.node != nil {
		return nil
	}
	return f
}

// A location names a part of the file, as a path and in words.
type location struct {
	path  string // pools[0].memory
	title string // pool "small"
}

// in returns the beginning of a fault about p.
func (p location) in() string {
	if p.title == "" {
		return ""
	}
	return "reading " + p.title + ": "
}

func (p location) key(name string) string {
	if p.path == "" {
		return name
	}
	return p.path + "." + name
}

func (d *decoder) fault(n ast.Node, format string, args ...any) {
	at := positionOf(n)
	d.faults = append(d.faults, Fault{d.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

// faultAt records a fault at the position of path, or of the nearest enclosing part in the file.
func (d *decoder) faultAt(path, format string, args ...any) {
	at, ok := d.positions[path]
	for !ok {
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
		at, ok = d.positions[path]
	}
	d.faults = append(d.faults, Fault{d.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

func positionOf(n ast.Node) position {
	t := n.GetToken()
	if m, ok := n.(ast.MapNode); ok { // a map's own token is its first colon or its brace
		if it := m.MapRange(); it.Next() {
			t = it.Key().GetToken()
		}
	}
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{t.Position.Line, t.Position.Column}
}

// section reads a mapping into a struct. If n is nil, the struct gets its defaults, and
// its required keys are not missed unless it is the file itself.
func (d *decoder) section(n ast.Node, v reflect.Value, at location) {
	pairs, ok := d.mapping(n, at)
	if !ok {
		delete(d.positions, at.path) // check then ignores the section: one fault is enough
		return
	}
	fields := fieldsOf(v.Type())
	for key, pair := range pairs {
		if !hasKey(fields, key) {
			d.fault(pair.Key, "%skey %q is not known: %s", at.in(), key, meant(key, keysOf(fields)))
		}
	}
	optional := n == nil && at.path != ""
	for _, f := range fields {
		value := valueOf(pairs[f.key])
		if value == nil && (f.required || namesForge(v, f.key)) && !optional && (at.path != "" || slices.Contains(d.need, f.key)) {
			d.faultAt(at.path, "%s%s is missing: want %s", at.in(), f.key, lowerFirst(f.doc))
		}
		d.field(value, v.FieldByIndex(f.index), f, at)
	}
}

// field reads the value of one key. n is nil if the key is missing.
func (d *decoder) field(n ast.Node, v reflect.Value, f field, at location) {
	here := location{path: at.key(f.key), title: at.key(f.key)}
	if n != nil {
		d.positions[here.path] = positionOf(n)
	}
	switch {
	case v.Kind() == reflect.Struct && n != nil && isShort(n, v.Type()):
		d.section(nil, v, here)
		short := shortOf(v.Type())
		d.scalar(n, v.FieldByIndex(short.index), *short, at, f.key)
	case v.Kind() == reflect.Struct:
		d.section(n, v, here)
	case n == nil:
		f.setDefault(v)
	case v.Kind() == reflect.Slice:
		d.list(n, v, f, at)
	case v.Kind() == reflect.Map:
		d.table(n, v, f, at)
	case v.Type() == reflect.TypeFor[*pattern.Pattern]():
		d.pattern(n, v, at)
	default:
		d.scalar(n, v, f, at, f.key)
	}
}

// isShort reports whether n is a single value that stands for a whole section.
func isShort(n ast.Node, t reflect.Type) bool {
	_, isMap := n.(ast.MapNode)
	_, isText := textOf(n)
	return !isMap && isText && shortOf(t) != nil
}

// list reads a sequence.
func (d *decoder) list(n ast.Node, v reflect.Value, f field, at location) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(n, "%s%s: want a list", at.in(), f.key)
		delete(d.positions, at.key(f.key))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values))
	for i, item := range sequence.Values {
		path := at.key(f.key) + "[" + strconv.Itoa(i) + "]"
		d.positions[path] = positionOf(item)
		if list.Index(i).Kind() == reflect.Struct {
			d.section(item, list.Index(i), location{path, d.titleOf(item, f.key, i)})
		} else {
			d.scalar(item, list.Index(i), f, at, f.key)
		}
	}
	v.Set(list)
}

// titleOf returns a title for an item of a list: by its name if it has one, else by its number.
func (d *decoder) titleOf(n ast.Node, key string, i int) string {
	one := strings.TrimSuffix(key, "s")
	if m, ok := n.(ast.MapNode); ok {
		for it := m.MapRange(); it.Next(); {
			if name, ok := textOf(it.Value()); ok && it.Key().GetToken().Value == "name" {
				return fmt.Sprintf("%s %q", one, name)
			}
		}
	}
	return fmt.Sprintf("%s %d", one, i+1)
}

// table reads a mapping into a map of scalars.
func (d *decoder) table(n ast.Node, v reflect.Value, f field, at location) {
	pairs, _ := d.mapping(n, location{path: at.key(f.key), title: at.key(f.key)})
	table := reflect.MakeMap(v.Type())
	for key, pair := range pairs {
		text := reflect.New(v.Type().Elem()).Elem()
		d.scalar(pair.Value, text, f, at, f.key+" "+strconv.Quote(key))
		table.SetMapIndex(reflect.ValueOf(key), text)
	}
	v.Set(table)
}

// scalar reads one value.
func (d *decoder) scalar(n ast.Node, v reflect.Value, f field, at location, name string) {
	k := kindOf(v.Type())
	text, ok := textOf(n)
	if !ok {
		d.fault(n, "%s%s: want %s", at.in(), name, k.want)
		return
	}
	shown := " " + strconv.Quote(text)
	if v.Type() == reflect.TypeFor[SecretRef]() {
		shown = "" // never print it: somebody may have put the secret itself here
	}
	switch {
	case !set(v, text) && v.Kind() == reflect.Int64 && isClientID(text):
		d.fault(n, "%s%s%s: this is the App's client id: want its App ID, a number, shown above it on the same page", at.in(), name, shown)
	case !set(v, text):
		d.fault(n, "%s%s%s: want %s", at.in(), name, shown, k.want)
	case len(f.enum) > 0 && !slices.Contains(f.enum, text):
		d.fault(n, "%s%s%s: %s", at.in(), name, shown, meant(text, f.enum))
	case f.min != "" && less(v, f.min):
		d.fault(n, "%s%s%s: want %s or more", at.in(), name, shown, f.min)
	}
}

// isClientID reports whether text looks like the client id of a GitHub App, such as
// Iv23liAbCdEfGhIjKlMn or Iv1.0123456789abcdef.
func isClientID(text string) bool {
	return regexp.MustCompile(`^Iv[0-9][0-9A-Za-z.]{10,}$`).MatchString(text)
}

// envelope lists the keys of an event, and $or, which combines patterns.
var envelope = []string{"version", "id", "source", "detail-type", "account", "time", "region", "resources", "detail", "replay-name", "$or"}

// keysOf returns the keys of a mapping with their nodes; none if n is not a mapping.
func (d *decoder) keysOf(n ast.Node) map[string]ast.Node {
	keys := map[string]ast.Node{}
	if m, ok := n.(ast.MapNode); ok {
		for it := m.MapRange(); it.Next(); {
			keys[it.Key().GetToken().Value] = it.Key()
		}
	}
	return keys
}

// pattern reads an event pattern, which is written in YAML as it would be in JSON.
func (d *decoder) pattern(n ast.Node, v reflect.Value, at location) {
	var tree any
	err := yaml.NodeToValue(n, &tree)
	if err != nil {
		d.syntax(err)
		return
	}
	src, err := json.Marshal(tree)
	if err != nil {
		d.fault(n, "%spattern: %v", at.in(), err)
		return
	}
	for key, of := range d.keysOf(n) {
		if !slices.Contains(envelope, key) {
			d.fault(of, "%spattern key %q: no event has this key: %s", at.in(), key, meant(key, envelope))
			return
		}
	}
	p, err := pattern.Parse(src)
	var wrong *pattern.SyntaxError
	if errors.As(err, &wrong) { // its line and column refer to src, not to the file: only its path helps
		d.fault(n, "%spattern %s: %s: want %s", at.in(), wrong.Path, wrong.Reason, wrong.Want)
		return
	}
	v.Set(reflect.ValueOf(p))
}

// mapping returns the pairs of a mapping by key, and whether n is a mapping. A missing or
// null node counts as an empty one.
func (d *decoder) mapping(n ast.Node, at location) (map[string]*ast.MappingValueNode, bool) {
	if n == nil || n.Type() == ast.NullType {
		return nil, true
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		d.fault(n, "%swant keys and values", at.in())
		return nil, false
	}
	pairs := map[string]*ast.MappingValueNode{}
	for it := m.MapRange(); it.Next(); {
		pairs[it.Key().GetToken().Value] = it.KeyValue()
	}
	return pairs, true
}

// valueOf returns the value of pair, or nil if pair is nil or its value is null.
func valueOf(pair *ast.MappingValueNode) ast.Node {
	if pair == nil || pair.Value == nil || pair.Value.Type() == ast.NullType {
		return nil
	}
	return pair.Value
}

// textOf returns a scalar as it stands in the file, and whether n is one.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.MappingNode:
		if len(n.Values) == 1 {
			return textOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		return colonText(n)
	}
	return "", false
}

// colonText rejoins a text that go-yaml 1.19 splits: in a list inside braces, such as
// {secrets: [env:NAME]}, its lexer sees a mapping of env to NAME, although in YAML a colon
// belongs to the text unless a space follows.
func colonText(n *ast.MappingValueNode) (string, bool) {
	value, ok := textOf(n.Value)
	colon, first := n.Start.Position, positionOf(n.Value)
	if !ok || first != (position{colon.Line, colon.Column + 1}) {
		return "", false
	}
	return n.Key.GetToken().Value + ":" + value, true
}
