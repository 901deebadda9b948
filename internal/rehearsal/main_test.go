package rehearsal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// testMain builds what a rehearsal finds beside its program.
func testMain(m *testing.M) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := programtest.Build(filepath.Dir(self), "mayfly-agent", "mayfly-minirunner"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
