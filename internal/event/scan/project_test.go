package scan_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event/scan"
)

func TestProject(t *testing.T) {
	shape := scan.Shape{"a": nil, "o": {"x": nil, "p": {"y": nil}}}
	for _, test := range []struct{ in, want string }{
		{`{}`, `{}`},
		{` { "b" : 1 } `, `{}`},
		{`{"b":[1,{"a":2}],"a": {"b": 1} }`, `{"a":{"b": 1}}`},
		{`{"a":1,"b":2,"a":3}`, `{"a":1,"a":3}`},
		{`{"o":{"z":1,"x":"\"}","p":{"y":null,"z":2}},"a":true}`, `{"o":{"x":"\"}","p":{"y":null}},"a":true}`},
		{`{"o":[{"x":1}]}`, `{"o":[{"x":1}]}`}, // no object: kept whole
	} {
		got, ok := scan.Project(nil, []byte(test.in), shape)
		if !ok || string(got) != test.want {
			t.Errorf("Project(%s) = %s, %v, want %s", test.in, got, ok, test.want)
		}
	}
	for _, bad := range []string{``, `[]`, `1`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}x`, `{"a":1}{}`, `{"b":tru}`, `{"b":"` + "\n" + `"}`, `{"a":01}`, "{}\x00"} {
		if got, ok := scan.Project(nil, []byte(bad), shape); ok {
			t.Errorf("Project(%q) = %s, want a fault", bad, got)
		}
	}
}

// FuzzProject holds Project against encoding/json: both agree on what is an object,
// and on what its wanted members say.
func FuzzProject(f *testing.F) {
	files, err := filepath.Glob("../../../testdata/webhooks/github/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := scan.Project(nil, data, scan.Shape{"action": nil, "repository": {"full_name": nil}})
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(data, &whole); (err == nil && whole != nil) != ok {
			t.Fatalf("object: %v, encoding/json says %v", ok, err)
		}
		if !ok {
			return
		}
		var kept map[string]json.RawMessage
		if err := json.Unmarshal(got, &kept); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if !reflect.DeepEqual(kept["action"], whole["action"]) {
			t.Errorf("action %s, want %s", kept["action"], whole["action"])
		}
	})
}
