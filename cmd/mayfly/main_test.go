package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	_ "github.com/mayfly-ci/mayfly/internal/agent"             // in the programs that testMain builds, which
	_ "github.com/mayfly-ci/mayfly/internal/github/minirunner" // go test's cache of results does not see
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

func TestMain(m *testing.M) { os.Exit(tooltest.Main(m, "mayfly", "mayfly-agent", "mayfly-minirunner")) }

// TestScripts runs testdata/script against the real tool.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", tooltest.Folder()+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}
