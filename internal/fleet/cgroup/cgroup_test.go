package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const hybrid = `24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 24 0:26 / /sys/fs/cgroup rw - tmpfs cgroup rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
broken line
`

func TestParseMounts(t *testing.T) {
	tests := map[string]struct {
		carries bool
		want    Tree
	}{
		"hybrid": {false, Tree{v1: map[string]string{
			"cpu": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory", "pids": "/sys/fs/cgroup/pids",
		}}},
		"version 2": {true, Tree{v2: "/sys/fs/cgroup/unified", v1: map[string]string{
			"cpu": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory", "pids": "/sys/fs/cgroup/pids",
		}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseMounts(strings.NewReader(hybrid), func(string) bool { return tt.carries })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(Tree{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// write makes files below a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOwnLimits(t *testing.T) {
	v1 := write(t, map[string]string{
		"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n",
		"cpu/a/cpu.cfs_quota_us": "150000\n", "cpu/a/cpu.cfs_period_us": "100000\n",
		"memory/memory.limit_in_bytes":   "9223372036854771712\n",
		"memory/a/memory.limit_in_bytes": "1000\n", "memory/a/b/memory.limit_in_bytes": "2000\n",
		"pids/a/pids.max": "max\n",
	})
	v2 := write(t, map[string]string{
		"a/cpu.max": "max 100000\n", "a/b/cpu.max": "50000 100000\n", "a/memory.max": "4096\n", "a/b/pids.max": "77\n",
	})
	tests := map[string]struct {
		tree Tree
		own  string
		want Limits
	}{
		"version 1": {
			Tree{v1: map[string]string{"cpu": v1 + "/cpu", "memory": v1 + "/memory", "pids": v1 + "/pids"}},
			"9:cpu,cpuacct:/a\n4:memory:/a/b\n3:pids:/a\n0::/x\n", Limits{CPUs: 1.5, Memory: 1000},
		},
		"version 2":    {Tree{v2: v2}, "0::/a/b\n", Limits{CPUs: 0.5, Memory: 4096, PIDs: 77}},
		"no groups":    {Tree{}, "0::/a/b\n", Limits{}},
		"broken lines": {Tree{v2: v2}, "0\n\n", Limits{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.tree.limitsOf(parseOwn(strings.NewReader(tt.own)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	limits := Limits{CPUs: 1.5, Memory: 1 << 20, PIDs: 9}
	want := map[string][]setting{
		"v1": {
			{"cpu", "cpu.cfs_quota_us", "150000", false},
			{"memory", "memory.limit_in_bytes", "1048576", false},
			{"memory", "memory.memsw.limit_in_bytes", "1048576", true},
			{"pids", "pids.max", "9", false},
		},
		"v2": {
			{"cpu", "cpu.max", "150000 100000", false},
			{"memory", "memory.max", "1048576", false},
			{"memory", "memory.swap.max", "0", true},
			{"pids", "pids.max", "9", false},
		},
	}
	got := map[string][]setting{
		"v1": Tree{}.Group("g").settings(limits),
		"v2": Tree{v2: "/x"}.Group("g").settings(limits),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(setting{})); diff != "" {
		t.Error(diff)
	}
}

// TestGroup uses the control groups of this host: a child is in its group from
// the start, its limits hold, and the group goes.
func TestGroup(t *testing.T) {
	tree, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	g := tree.Group("mayfly-cgroup-test")
	if err := g.Create(Limits{CPUs: 1, Memory: 64 << 20, PIDs: 5}); err != nil {
		t.Skipf("NOT TESTED: control groups are not to be made here: %v", err)
	}
	var out []byte
	var runErr error
	OnThread(func() {
		cmd := exec.Command("sh", "-c", "cat /proc/self/cgroup; for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait")
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		release, err := g.Enter(syscall.Gettid(), cmd.SysProcAttr)
		if err != nil {
			runErr = err
			return
		}
		defer release()
		out, _ = cmd.CombinedOutput() // the shell fails when it cannot fork, as it should
	})
	if runErr != nil {
		t.Fatal(runErr)
	}
	if !strings.Contains(string(out), "mayfly-cgroup-test") || !strings.Contains(strings.ToLower(string(out)), "fork") {
		t.Errorf("the child said %q: want its group, and a fork that was refused", out)
	}
	if m := g.Memory(); m.Kills != 0 || m.Limit != 64<<20 {
		t.Errorf("Memory = %+v, want no kills at a limit of 64 MiB", m)
	}
	for range 2 { // the second has nothing to remove
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	}
	for _, f := range g.folders() {
		if _, err := os.Stat(f); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", f, err)
		}
	}
}
