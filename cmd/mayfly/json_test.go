package main

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/proof"
)

// TestJSONKeys: what commands print as JSON has keys in lower case, as everything here, at any depth.
func TestJSONKeys(t *testing.T) {
	for _, v := range []any{
		inspect.Status{}, inspect.Job{}, ledger.Runner{}, eventlog.DeadLetter{}, eventlog.Quarantined{}, eventlog.Release{}, eventlog.Preview{}, eventlog.Replay{}, eventlog.ReplayOrder{}, machine.PutAnswer{}, config.Fault{}, schema.Change{}, image.Image{}, engine.Image{}, proof.Report{}, inspect.Images{}, inspect.SchemaDrift{},
	} {
		wantLower(t, reflect.TypeOf(v), map[reflect.Type]bool{})
	}
}

func wantLower(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	pointer := reflect.PointerTo(typ)
	if typ.Kind() != reflect.Struct || seen[typ] || pointer.Implements(reflect.TypeFor[json.Marshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return
	}
	seen[typ] = true
	for _, f := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported(), name == "-", f.Anonymous:
			continue
		case name == "" || name != strings.ToLower(name):
			t.Errorf("%s.%s has the JSON key %q; want one in lower case", typ, f.Name, name)
		}
		wantLower(t, f.Type, seen)
	}
}
