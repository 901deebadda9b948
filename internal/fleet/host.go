package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Host returns what this machine can give to runners: its processors and memory, or less
// if a control group limits this process. It keeps nothing back for the machine itself.
func Host() (pool.Resources, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return pool.Resources{}, fmt.Errorf("reading the memory of this host: %w", err)
	}
	defer f.Close()
	memory, err := parseMemTotal(f)
	if err != nil {
		return pool.Resources{}, fmt.Errorf("reading the memory of this host: %w", err)
	}
	tree, err := cgroup.Find()
	if err != nil {
		return pool.Resources{}, fmt.Errorf("reading the limits of this process: %w", err)
	}
	return within(pool.Resources{CPUs: float64(runtime.NumCPU()), Memory: memory}, tree.Own()), nil
}

func within(host pool.Resources, limits cgroup.Limits) pool.Resources {
	if limits.CPUs > 0 {
		host.CPUs = min(host.CPUs, limits.CPUs)
	}
	if limits.Memory > 0 {
		host.Memory = min(host.Memory, limits.Memory)
	}
	return host
}

// parseMemTotal reads the format of proc(5), /proc/meminfo.
func parseMemTotal(r io.Reader) (int64, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		value, found := strings.CutPrefix(lines.Text(), "MemTotal:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		return kib << 10, err
	}
	return 0, errors.Join(errors.New("no MemTotal in /proc/meminfo"), lines.Err())
}
