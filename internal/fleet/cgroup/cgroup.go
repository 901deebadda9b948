// Package cgroup puts a runner into a control group with limits, where no container engine
// does it, and reads the limits of this process.
//
// It supports version 1 (a mount for each controller) and version 2 (one mount). A hybrid
// host, where version 2 is mounted without resource controllers, counts as version 1.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
// https://docs.kernel.org/admin-guide/cgroup-v1/index.html
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Tree has the mounts of this host's control groups. The zero Tree has none.
type Tree struct {
	v1 map[string]string // controller → its mount
	v2 string            // mount of version 2; "" unless it has the controllers
}

// controllers are those that the limits of a runner need.
var controllers = [...]string{"cpu", "memory", "pids"}

// Find reads which control groups are mounted on this host.
func Find() (Tree, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, err
	}
	defer f.Close()
	return parseMounts(f, carriesControllers)
}

// parseMounts reads the format of proc(5), /proc/PID/mountinfo:
//
//	36 35 98:0 /root /mount rw,noatime master:1 - type source superoptions
func parseMounts(r io.Reader, carries func(mount string) bool) (Tree, error) {
	t := Tree{v1: map[string]string{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		mount, fs, found := strings.Cut(lines.Text(), " - ")
		fields, super := strings.Fields(mount), strings.Fields(fs)
		if !found || len(fields) < 5 || len(super) < 3 {
			continue
		}
		switch super[0] {
		case "cgroup":
			for _, option := range strings.Split(super[2], ",") {
				if slices.Contains(controllers[:], option) {
					t.v1[option] = fields[4]
				}
			}
		case "cgroup2":
			if carries(fields[4]) {
				t.v2 = fields[4]
			}
		}
	}
	return t, lines.Err()
}

func carriesControllers(mount string) bool {
	data, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	have := strings.Fields(string(data))
	for _, c := range controllers {
		if !slices.Contains(have, c) {
			return false
		}
	}
	return err == nil
}

// Limits are the most that a group may use; zero is no limit.
type Limits struct {
	CPUs   float64 // processors
	Memory int64   // bytes, including swap
	PIDs   int     // processes and threads
}

// A Group is one control group, in each hierarchy that it needs. Its only state is its folders,
// so any process finds it again by its name.
type Group struct {
	tree Tree
	name string
}

// Group returns the group called name, a single path element, whether it exists or not.
func (t Tree) Group(name string) Group { return Group{t, name} }

// folder returns g's folder for controller, or "" if that is not mounted.
func (g Group) folder(controller string) string {
	if g.tree.v2 != "" {
		return filepath.Join(g.tree.v2, g.name)
	}
	if mount := g.tree.v1[controller]; mount != "" {
		return filepath.Join(mount, g.name)
	}
	return ""
}

// folders returns the folders of g without duplicates: hierarchies may share a mount.
func (g Group) folders() []string {
	var all []string
	for _, c := range controllers {
		if f := g.folder(c); f != "" && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// Create creates g with limits, or sets the limits of an existing group. A limit whose
// controller is missing is an error, because a runner must not run without the limits of its
// pool. After an error nothing of g is left.
func (g Group) Create(limits Limits) error {
	err := g.create(limits)
	if err != nil {
		return errors.Join(err, g.Remove())
	}
	return nil
}

func (g Group) create(limits Limits) error {
	if g.tree.v2 != "" {
		const enable = "+cpu +memory +pids"
		if err := os.WriteFile(filepath.Join(g.tree.v2, "cgroup.subtree_control"), []byte(enable), 0); err != nil {
			return fmt.Errorf("enabling control groups: %w", err)
		}
	}
	for _, c := range controllers {
		if g.folder(c) == "" {
			return fmt.Errorf("control group %s: the %s controller is not mounted", g.name, c)
		}
	}
	for _, f := range g.folders() {
		if err := os.Mkdir(f, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making control group: %w", err)
		}
	}
	for _, s := range g.settings(limits) {
		err := os.WriteFile(filepath.Join(g.folder(s.controller), s.file), []byte(s.value), 0)
		if err != nil && !(s.optional && errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("limiting control group: %w", err)
		}
	}
	return nil
}

type setting struct {
	controller, file, value string
	optional                bool // whether the file may be missing, as in kernels without swap accounting
}

// settings returns the files to write, in order: in version 1 the limit of memory with swap must
// not be smaller than that of memory, so memory comes first.
func (g Group) settings(l Limits) []setting {
	const period = 100_000 // microseconds, the kernel's default
	v2 := g.tree.v2 != ""
	var all []setting
	set := func(controller, file1, file2, value1, value2 string, optional bool) {
		file, value := file1, value1
		if v2 {
			file, value = file2, value2
		}
		all = append(all, setting{controller, file, value, optional})
	}
	if l.CPUs > 0 {
		quota := strconv.Itoa(max(int(l.CPUs*period), 1000)) // the kernel's minimum
		set("cpu", "cpu.cfs_quota_us", "cpu.max", quota, fmt.Sprintf("%s %d", quota, period), false)
	}
	if l.Memory > 0 {
		bytes := strconv.FormatInt(l.Memory, 10)
		set("memory", "memory.limit_in_bytes", "memory.max", bytes, bytes, false)
		set("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", bytes, "0", true)
	}
	if l.PIDs > 0 {
		set("pids", "pids.max", "pids.max", strconv.Itoa(l.PIDs), strconv.Itoa(l.PIDs), false)
	}
	return all
}
