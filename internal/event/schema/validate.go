package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxFaults bounds what Validate returns.
const maxFaults = 100

// A Fault is a violation of a schema by an event.
type Fault struct {
	Path   string // such as "detail.workflow_job.labels[0]"
	Reason string // what is there, such as "is an integer"
	Want   string // what was expected
}

// Error returns path, reason and what was expected.
func (f Fault) Error() string { return fmt.Sprintf("%s %s: want %s", f.Path, f.Reason, f.Want) }

// Faults are the faults of an event, up to 100.
type Faults []Fault

// Error joins the faults.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "; ")
}

// Validate checks event, in EventBridge's envelope, against s: types, required
// fields, formats and enums. A field that the schema does not have is no fault; see
// [Schema.Drift]. The error is of type [Faults], unless event is not JSON.
func (s *Schema) Validate(event []byte) error {
	var tree any
	if err := decode(event, &tree); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	var v validator
	v.check("", s.event(), tree)
	if len(v.faults) > 0 {
		return v.faults
	}
	return nil
}

// A validator collects faults.
type validator struct{ faults Faults }

func (v *validator) fault(path, reason, want string) {
	if path == "" {
		path = "event"
	}
	if len(v.faults) < maxFaults {
		v.faults = append(v.faults, Fault{Path: path, Reason: reason, Want: want})
	}
}

func (v *validator) check(path string, s *Shape, value any) {
	found := typeOf(value)
	if !s.known() {
		return
	}
	if !s.Types.has(found) && !(found == Integer && s.Types.has(Number)) {
		v.fault(path, "is "+found.String(), s.Types.String())
		return
	}
	switch value := value.(type) {
	case string:
		v.checkText(path, s.Text, value)
	case []any:
		for i, item := range value {
			if s.Items != nil {
				v.check(fmt.Sprintf("%s[%d]", path, i), s.Items, item)
			}
		}
	case map[string]any:
		v.checkObject(path, s, value)
	}
}

func (v *validator) checkObject(path string, s *Shape, object map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[name]
		if value, ok := object[name]; ok {
			v.check(join(path, name), &f.Shape, value)
		} else if !f.Optional {
			v.fault(join(path, name), "is missing", f.Types.String())
		}
	}
	if s.Values == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		v.check(join(path, name), s.Values, object[name])
	}
}

func (v *validator) checkText(path string, t *Text, value string) {
	switch enum := t.Enum(); {
	case t.Format() == "date-time" && !isDateTime(value), t.Format() == "uri" && !isURI(value):
		v.fault(path, fmt.Sprintf("is %q", value), "a "+t.Format())
	case enum != nil && !slices.Contains(enum, value):
		v.fault(path, fmt.Sprintf("is %q", value), "one of "+strings.Join(enum, ", "))
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func typeOf(value any) Types {
	switch v := value.(type) {
	case nil:
		return Null
	case bool:
		return Boolean
	case json.Number:
		return numberType(v)
	case string:
		return String
	case []any:
		return Array
	}
	return Object
}
