package handler_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	mayfly "github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
)

// recorded notes what each function called, in all tests of this package together.
var recorded = map[string]*awstest.Recorder{mayfly.HandlerLedger: {}, mayfly.HandlerSweep: {}}

// elsewhere are calls of other packages, which the stage has none of.
var elsewhere = []string{
	"events:PutEvents",              // aws/eventbus
	"secretsmanager:GetSecretValue", // aws/secrets
}

// TestMain adds what no single test can see: that a role allows nothing that no test
// has called. It looks only when all tests ran.
func TestMain(m *testing.M) {
	code := m.Run()
	for name, r := range recorded {
		called := r.Actions()
		if code != 0 || len(called) == 0 || !allRan() {
			continue
		}
		for _, action := range mayfly.Calls()[name] {
			if !slices.Contains(called, action) && !slices.Contains(elsewhere, action) {
				fmt.Printf("the function %s may call %s, and no test does: want it out of aws.Calls\n", name, action)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// allRan reports whether no test was left out.
func allRan() bool {
	return !testing.Short() && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
}
