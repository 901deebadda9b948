package cgroup

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Own returns the limits of this process: the smallest from its own groups up to the root.
// In a container the root is the container's group.
func (t Tree) Own() Limits {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return Limits{}
	}
	defer f.Close()
	return t.limitsOf(parseOwn(f))
}

// parseOwn reads /proc/PID/cgroup into controller → path. Version 2 has the key "".
func parseOwn(r io.Reader) map[string]string {
	own := map[string]string{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, c := range strings.Split(fields[1], ",") {
			own[c] = fields[2]
		}
	}
	return own
}

func (t Tree) limitsOf(own map[string]string) Limits {
	if t.v2 != "" {
		return Limits{
			CPUs:   smallest(t.v2, own[""], cpus2),
			Memory: int64(smallest(t.v2, own[""], number("memory.max"))),
			PIDs:   int(smallest(t.v2, own[""], number("pids.max"))),
		}
	}
	return Limits{
		CPUs:   smallest(t.v1["cpu"], own["cpu"], cpus1),
		Memory: int64(smallest(t.v1["memory"], own["memory"], number("memory.limit_in_bytes"))),
		PIDs:   int(smallest(t.v1["pids"], own["pids"], number("pids.max"))),
	}
}

// smallest returns the least limit that read finds from mount/path upwards to mount, or 0 if
// there is no limit.
func smallest(mount, path string, read func(folder string) float64) float64 {
	if mount == "" {
		return 0
	}
	least := 0.0
	for at := filepath.Join("/", path); ; at = filepath.Dir(at) {
		if n := read(filepath.Join(mount, at)); n > 0 && (least == 0 || n < least) {
			least = n
		}
		if at == "/" {
			return least
		}
	}
}

// unlimited is less than the value for "no limit" in version 1, the largest multiple of the
// page size, and more than any real limit.
const unlimited = 1 << 60

func number(file string) func(string) float64 {
	return func(folder string) float64 {
		n, err := strconv.ParseFloat(readLine(folder, file), 64)
		if err != nil || n >= unlimited { // also "max" or a missing file
			return 0
		}
		return n
	}
}

func cpus1(folder string) float64 {
	return ratio(readLine(folder, "cpu.cfs_quota_us"), readLine(folder, "cpu.cfs_period_us"))
}

func cpus2(folder string) float64 {
	quota, period, _ := strings.Cut(readLine(folder, "cpu.max"), " ")
	return ratio(quota, period)
}

// ratio returns quota/period, or 0 if quota means "no limit" (-1 or max).
func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

func readLine(folder, file string) string {
	data, _ := os.ReadFile(filepath.Join(folder, file))
	return strings.TrimSpace(string(data))
}
