package githubsim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A shape is what a JSON text is made of: the types there are at each path. The members of
// a list have one path together.
type shape map[string]map[string]bool

// shapeOf reads a JSON text, or as much as there is of one that was cut.
func shapeOf(text string) shape {
	s := shape{}
	d := json.NewDecoder(strings.NewReader(text))
	_ = s.value(d, "") // how it ends is how it was cut
	return s
}

func (s shape) value(d *json.Decoder, path string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	kind := fmt.Sprintf("%T", t)
	delim, nested := t.(json.Delim)
	if nested {
		kind = string(delim)
	}
	if s[path] == nil {
		s[path] = map[string]bool{}
	}
	s[path][kind] = true
	if !nested {
		return nil
	}
	for d.More() {
		inside := path + "[]"
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			inside = fmt.Sprint(path, ".", key)
		}
		if err := s.value(d, inside); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// lacks lists what of want is not in s: a path, or a type at it. What is null or empty in
// one of them may be anything in the other.
func (s shape) lacks(want shape) []string {
	var out []string
	for _, path := range slices.Sorted(maps.Keys(want)) {
		for kind := range want[path] {
			switch {
			case s[path][kind] || kind == "<nil>" && s[path] != nil || s[path]["<nil>"]:
			case s[path] != nil:
				out = append(out, fmt.Sprintf("%s is of type %v, want %s", path, slices.Sorted(maps.Keys(s[path])), kind))
			case !s.emptyAbove(path):
				out = append(out, path+" is missing")
			}
		}
	}
	return out
}

// emptyAbove reports whether path is inside something that is an empty list or null in s.
func (s shape) emptyAbove(path string) bool {
	for i := len(path) - 1; i > 0; i-- {
		if strings.HasPrefix(path[i:], "[]") {
			if above := s[path[:i]]; above["["] && s[path[:i]+"[]"] == nil || above["<nil>"] {
				return true
			}
		}
	}
	return false
}

func TestShapes(t *testing.T) {
	want := shapeOf(`{"a": [{"b": "x"}, {"b": 1, "c": null}], "d": {"e": true}, "f": "cut he`)
	for text, lacks := range map[string][]string{
		`{"a": [{"b": "", "c": 2}, {"b": 2}], "d": {"e": false, "more": 1}}`: nil,
		`{"a": [], "d": {"e": false}}`:                                       nil,
		`{"a": [{"b": "", "c": 2}], "d": {"e": 1}}`:                          {".a[].b is of type [string], want float64", ".d.e is of type [float64], want bool"},
		`{"a": [{"b": "", "c": 2}, {"b": 2}]}`:                               {".d is missing", ".d.e is missing"},
		`[]`:                                                                 {" is of type [[], want {", ".a is missing", ".a[] is missing", ".a[].b is missing", ".a[].b is missing", ".a[].c is missing", ".d is missing", ".d.e is missing"},
	} {
		if diff := cmp.Diff(lacks, shapeOf(text).lacks(want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
