package config

import (
	"cmp"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// StackHosts returns the hosts that a stack can start: one group for each architecture, and one for each pool with its own
// hosts. Each has its maximum, and the capacity of its smallest instance type, because ECS plans with that. A group with a
// type whose size does not follow from its name is left out, so it sets no limit.
func (c *Config) StackHosts() (all []pool.Hosts) {
	for _, architecture := range []string{AMD64, ARM64} {
		h := pool.Hosts{Max: c.AWS.Hosts.Max, Each: smallest(c.AWS.Hosts.Types(architecture))}
		for _, p := range c.Pools {
			if p.AWS.Architecture == architecture && !p.AWS.Hosts.Own() {
				h.Pools = append(h.Pools, p.Name)
			}
		}
		if h.Pools != nil && h.Each != (pool.Resources{}) {
			all = append(all, h)
		}
	}
	for _, p := range c.Pools {
		if h := (pool.Hosts{Max: cmp.Or(p.AWS.Hosts.Max, c.AWS.Hosts.Max), Each: p.eachHost(), Pools: []string{p.Name}}); p.AWS.Hosts.Own() && h.Each != (pool.Resources{}) {
			all = append(all, h)
		}
	}
	return all
}

// eachHost returns the capacity for tasks of one of the pool's own hosts.
func (p Pool) eachHost() pool.Resources {
	own := p.AWS.Hosts
	switch {
	case own.GPUs > 0: // a host has GPUs for at least one runner; more is not known
		return pool.Resources{CPUs: p.CPUs, Memory: int64(p.Memory)}
	case own.VCPUs > 0:
		return pool.Resources{CPUs: float64(own.VCPUs), Memory: int64(forHost * float64(own.Memory))}
	}
	return smallest(own.Types)
}

// smallest returns the least capacity of these instance types, or zero if that of any is unknown.
func smallest(types []string) (least pool.Resources) {
	var sizes []pool.Resources
	for _, name := range types {
		size, known := forTasks(name)
		if !known {
			return pool.Resources{}
		}
		sizes = append(sizes, size)
	}
	if sizes == nil {
		return pool.Resources{}
	}
	return slices.MinFunc(sizes, func(a, b pool.Resources) int {
		if a.Fits(b) {
			return -1
		}
		return 1
	})
}

// forTasks returns the capacity for tasks of an instance type, and whether its name tells it.
func forTasks(name string) (pool.Resources, bool) {
	size, known := sizeOf(name)
	return pool.Resources{CPUs: size.CPUs, Memory: int64(forHost * float64(size.Memory))}, known
}
