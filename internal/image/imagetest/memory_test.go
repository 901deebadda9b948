package imagetest_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/imagetest"
)

// TestMemory: a store of one process that other tests stand on is one.
func TestMemory(t *testing.T) {
	open := map[string]*imagetest.Memory{} // by folder
	imagetest.Test(t, func(_ *testing.T, c imagetest.Config) image.Store {
		m := open[c.Dir]
		if m == nil {
			m = &imagetest.Memory{Settings: c.Settings, Now: c.Now}
			open[c.Dir] = m
		}
		m.Commit = c.Commit
		return m
	})
}
