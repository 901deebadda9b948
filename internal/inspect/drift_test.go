package inspect_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// TestDriftOf looks back to different times over three versions: each change since is told,
// also one that the next version took back.
func TestDriftOf(t *testing.T) {
	begun := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var r schema.Registry
	for i, detail := range []string{`{"a":1}`, `{"a":1,"b":true}`, `{"a":"x","b":true,"c":[1]}`} {
		at := begun.Add(time.Duration(i) * time.Hour).Format(time.RFC3339)
		if _, changed, err := r.Observe([]byte(`{"source":"s","detail-type":"t","time":"` + at + `","detail":` + detail + `}`)); err != nil || !changed {
			t.Fatal(changed, err)
		}
	}
	versions := r.Versions("s@T")
	second := inspect.Drift{Schema: "s@T", Version: 2, Since: begun.Add(time.Hour), Changes: []string{"detail.b: added, boolean"}}
	third := inspect.Drift{Schema: "s@T", Version: 3, Since: begun.Add(2 * time.Hour), Changes: []string{
		"detail.a: types integer → integer|string", "detail.c: added, array",
	}}
	for since, want := range map[time.Time][]inspect.Drift{
		begun.Add(-time.Hour):       {second, third},
		begun.Add(time.Hour):        {second, third},
		begun.Add(61 * time.Minute): {third},
		begun.Add(3 * time.Hour):    nil,
	} {
		if diff := cmp.Diff(want, inspect.DriftOf(versions, since)); diff != "" {
			t.Errorf("since %v (-want +got):\n%s", since, diff)
		}
	}
}
