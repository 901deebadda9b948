package handler_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// called is what each function called, in all tests of this package together, which run
// one after another.
var called = map[string][]string{}

func note(handler string, actions []string) { called[handler] = append(called[handler], actions...) }

// elsewhere are calls of other packages, which the stage has none of.
var elsewhere = []string{
	"events:PutEvents",              // aws/eventbus
	"secretsmanager:GetSecretValue", // aws/secrets
}

// TestMain adds what no single test can see: that a role allows nothing that no test
// has called. It looks only when all tests ran.
func TestMain(m *testing.M) {
	code := m.Run()
	if code != 0 || len(called) == 0 || !allRan() {
		os.Exit(code)
	}
	for _, name := range []string{contract.HandlerLedger, contract.HandlerSweep, contract.HandlerRelease} {
		for _, action := range awstest.Calls()[name] {
			if !slices.Contains(called[name], action) && !slices.Contains(elsewhere, action) {
				fmt.Printf("the function %s may call %s, and no test does: remove it from awstest.Calls\n", name, action)
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
