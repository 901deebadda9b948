package engine

import (
	"fmt"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestUlimits(t *testing.T) {
	for _, c := range []struct {
		most  int64
		named map[string]pool.Ulimit
		want  string
	}{
		{1 << 20, nil, "nofile=65536:65536 nproc=16384:32768 "},
		{20000, nil, "nofile=20000:20000 nproc=16384:32768 "},
		{20000, map[string]pool.Ulimit{"nofile": {Soft: 1024, Hard: 1 << 20}, "core": {}}, "core=0:0 nofile=1024:1048576 nproc=16384:32768 "},
	} {
		got := ""
		for _, u := range (&Launcher{mostFiles: c.most}).ulimits(pool.Setup{Ulimits: c.named}) {
			got += fmt.Sprintf("%s=%d:%d ", u.Name, u.Soft, u.Hard)
		}
		if got != c.want {
			t.Errorf("%v where %d files can be had: %s, want %s", c.named, c.most, got, c.want)
		}
	}
}
