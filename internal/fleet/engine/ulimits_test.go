package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestUlimits(t *testing.T) {
	t.Parallel()
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

// TestMostFiles: of an engine of ours no more is asked for than we may have, however its socket is written.
func TestMostFiles(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "engine.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var ours unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil {
		t.Fatal(err)
	}
	want := int64(pool.DefaultFiles)
	if !canExceed() {
		want = min(want, int64(min(ours.Max, pool.DefaultFiles)))
	}
	for _, written := range []string{socket, "unix://" + socket} {
		if got := mostFiles(written); got != want {
			t.Errorf("%s: %d files, want %d", written, got, want)
		}
	}
}
