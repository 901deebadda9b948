package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// Reference returns the reference page of mayfly.yaml, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# mayfly.yaml

<!-- Printed by the program from its own description of the file. To renew: go test ./internal/config -update -->

The file contains no secrets. A *reference* names where one is, ` + "`env:NAME` or `file:PATH`" + `; the path starts at the folder of
the file. A *size* has a unit: KiB, MiB, GiB and TiB are powers of 1024, KB, MB, GB and TB powers of 1000. A *duration* is written
like 30s, 5m or 6h. ` + "`mayfly init` writes a commented file, `mayfly config check` checks it, `mayfly config schema`" + ` prints the
JSON Schema for editors. Keys in bold are required.
`)
	writeSection(&b, "The file", "", reflect.TypeFor[Config]())
	return b.String()
}

// writeSection writes the table of a section, then the sections in it.
func writeSection(b *strings.Builder, title, doc string, t reflect.Type) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if doc != "" {
		fmt.Fprintf(b, "%s\n\n", doc)
	}
	b.WriteString("| key | | default | |\n|---|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		key, standard := "`"+f.key+"`", ""
		if f.required {
			key = "**" + key + "**"
		}
		if f.standard != "" {
			standard = "`" + f.standard + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", key, f.kindName(), standard, f.doc)
	}
	for _, f := range fieldsOf(t) {
		name := strings.TrimPrefix(title+"."+f.key, "The file.")
		switch inner := f.typ; {
		case inner.Kind() == reflect.Struct:
			writeSection(b, name, f.doc, inner)
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			writeSection(b, name, f.doc+" The keys of each:", inner.Elem())
		}
	}
}

// kindName returns how the value of f is written, for the table.
func (f field) kindName() string {
	switch {
	case len(f.enum) > 0:
		return strings.Join(f.enum, ", ")
	case f.typ == reflect.TypeFor[*pattern.Pattern]():
		return "event pattern"
	case f.typ.Kind() == reflect.Struct:
		return "section"
	case f.typ.Kind() == reflect.Map:
		return kindOf(f.typ.Elem()).name + "s by name"
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct:
		return "list of sections"
	case f.typ.Kind() == reflect.Slice:
		return "list of " + kindOf(f.typ.Elem()).name + "s"
	}
	return kindOf(f.typ).name
}
