package function_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

func TestWriteMetrics(t *testing.T) {
	var out strings.Builder
	if err := function.WriteMetrics(&out, "ci", time.UnixMilli(1767225600123), map[string]float64{"Runners": 2, "JobsQueued": 0.5}); err != nil {
		t.Fatal(err)
	}
	want := `{"JobsQueued":0.5,"Runners":2,"Stack":"ci","_aws":{"CloudWatchMetrics":[{"Dimensions":[["Stack"]],"Metrics":[{"Name":"JobsQueued"},{"Name":"Runners"}],"Namespace":"Mayfly"}],"Timestamp":1767225600123}}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if err := function.WriteMetrics(&out, "ci", time.Now(), map[string]float64{"Runners": math.NaN()}); err == nil {
		t.Error("a figure that is none: no error")
	}
}
