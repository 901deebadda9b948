package main

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/program"
)

// maxZip is what a function's zip may have at most: Lambda fetches and unpacks it before
// a cold start.
const maxZip = 8 << 20

// TestBenchLambda starts each function twice, and holds their sizes.
func TestBenchLambda(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs for another architecture")
	}
	list := figures[[]lambdaFigure](t, "lambda", "--runs", "2", "--json")
	if len(list) != 2 || list[0].Program != program.Webhook {
		t.Fatalf("figures %+v, want the webhook's and the bare one's", list)
	}
	for _, f := range list {
		if f.P50 <= 0 || f.P99 < f.P50 || f.Zip <= 0 || f.Zip > maxZip {
			t.Errorf("%+v: want times, and a zip of at most %d bytes", f, maxZip)
		}
	}
	body, err := program.Linux(t.Context(), program.Handlers, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	if zip, err := deploy.Zip(map[string][]byte{"bootstrap": body}); err != nil || len(zip) > maxZip {
		t.Errorf("zip of the other functions: %d bytes, %v: want at most %d", len(zip), err, maxZip)
	}
}
