package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Change is one difference between two versions of a schema.
type Change struct {
	Path string `json:"path"` // such as "detail.workflow_job.labels[]"; "{}" for the values of a map
	Kind Kind   `json:"kind"`
	Old  string `json:"old"` // what it was; "" for an added field
	New  string `json:"new"` // what it is; "" for a removed field
}

// Kind is the kind of a change.
type Kind string

// The kinds of changes.
const (
	Added    Kind = "added"    // a field; New is its types
	Removed  Kind = "removed"  // a field; Old is its types
	Retyped  Kind = "types"    // of a position
	Presence Kind = "presence" // of a field: required or optional
	Format   Kind = "format"   // of strings: date-time, uri or any
	Enum     Kind = "enum"     // of strings: the values, joined by commas, or any
	Standing Kind = "standing" // of the whole: tentative or settled
)

// Settles reports whether c only means that a schema is no longer tentative, so that the events
// did not change.
func (c Change) Settles() bool { return c.Kind == Standing && c.Old == tentative }

// String formats the change as a line, such as
// "detail.action: enum completed,queued → completed,in_progress,queued".
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("%s: added, %s", c.Path, c.New)
	case Removed:
		return fmt.Sprintf("%s: removed, was %s", c.Path, c.Old)
	}
	return fmt.Sprintf("%s: %s %s → %s", c.Path, c.Kind, c.Old, c.New)
}

// Diff returns what changed between two versions, sorted by path.
func Diff(old, new *Schema) []Change {
	var d differ
	d.note("detail", Standing, standing(old), standing(new))
	d.shapes("detail", old.Detail, new.Detail)
	return d.changes
}

// Drift returns how event differs from s: each new or changed field, and missing ones if they are
// required.
func (s *Schema) Drift(event []byte) ([]Change, error) {
	e, err := readEnvelope(event)
	if err != nil {
		return nil, err
	}
	return Diff(s, &Schema{Detail: Merge(s.Detail, inferTree(e.Detail)), Tentative: s.Tentative}), nil
}

// A differ collects changes.
type differ struct{ changes []Change }

func (d *differ) note(path string, kind Kind, old, new string) {
	if old != new {
		d.changes = append(d.changes, Change{Path: path, Kind: kind, Old: old, New: new})
	}
}

func (d *differ) shapes(path string, old, new *Shape) {
	if old == nil {
		old = &Shape{}
	}
	if new == nil {
		new = &Shape{}
	}
	d.note(path, Retyped, old.Types.String(), new.Types.String())
	if old.Types.has(String) && new.Types.has(String) {
		d.note(path, Format, orAny(old.Text.Format()), orAny(new.Text.Format()))
		d.note(path, Enum, orAny(strings.Join(old.Text.Enum(), ",")), orAny(strings.Join(new.Text.Enum(), ",")))
	}
	if old.Items != nil || new.Items != nil {
		d.shapes(path+"[]", old.Items, new.Items)
	}
	if old.Values != nil || new.Values != nil {
		d.shapes(path+"{}", old.Values, new.Values)
		return // an object became a map: its fields still exist, as entries
	}
	d.fields(path, old.Fields, new.Fields)
}

func (d *differ) fields(path string, old, new map[string]*Field) {
	names := slices.Concat(slices.Collect(maps.Keys(old)), slices.Collect(maps.Keys(new)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at := join(path, name)
		switch o, n := old[name], new[name]; {
		case o == nil:
			d.note(at, Added, "", n.Types.String())
		case n == nil:
			d.note(at, Removed, o.Types.String(), "")
		default:
			d.note(at, Presence, presence(o), presence(n))
			d.shapes(at, &o.Shape, &n.Shape)
		}
	}
}

// Words for whether a schema is tentative.
const (
	tentative = "tentative"
	settled   = "settled"
)

func standing(s *Schema) string {
	if s.Tentative {
		return tentative
	}
	return settled
}

func presence(f *Field) string {
	if f.Optional {
		return "optional"
	}
	return "required"
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}
