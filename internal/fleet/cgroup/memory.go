package cgroup

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Memory returns the kernel's statistics of g's memory, or the zero value if there are none.
func (g Group) Memory() pool.MemoryUse {
	folder := g.folder("memory")
	if folder == "" {
		return pool.MemoryUse{}
	}
	if g.tree.v2 != "" {
		return memoryOf(folder, "memory.events", "memory.peak", "memory.max")
	}
	return memoryOf(folder, "memory.oom_control", "memory.max_usage_in_bytes", "memory.limit_in_bytes")
}

func memoryOf(folder, events, peak, limit string) pool.MemoryUse {
	return pool.MemoryUse{
		Kills: oomKills(filepath.Join(folder, events)),
		Peak:  int64(number(peak)(folder)),
		Limit: int64(number(limit)(folder)),
	}
}

// oomKills reads oom_kill, the number of processes that the kernel killed for lack of memory.
func oomKills(file string) int {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
			count, _ := strconv.Atoi(n) // 0 if it is not a number
			return count
		}
	}
	return 0
}

// Container returns the statistics of the memory of the container that this process is in:
// engines show a container its own group as the root. Outside of a container, where the root
// has no limit, it returns the zero value.
func Container() pool.MemoryUse {
	tree, err := Find()
	if err != nil {
		return pool.MemoryUse{}
	}
	use := tree.Group("").Memory()
	if use.Limit == 0 {
		return pool.MemoryUse{}
	}
	return use
}
