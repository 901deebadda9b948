package config

import (
	"cmp"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// StackHosts returns the hosts that a stack starts for its pools, by architecture and for pools with hosts of their own: how
// many at most, and what the smallest of their types has for tasks, with which ECS plans. A type whose size its name does not
// tell bounds nothing.
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

// eachHost returns what a host of the pool's own has for tasks.
func (p Pool) eachHost() pool.Resources {
	own := p.AWS.Hosts
	switch {
	case own.GPUs > 0: // of which a host has enough for one runner at least
		return pool.Resources{CPUs: p.CPUs, Memory: int64(p.Memory)}
	case own.VCPUs > 0:
		return pool.Resources{CPUs: float64(own.VCPUs), Memory: int64(forHost * float64(own.Memory))}
	}
	return smallest(own.Types)
}

// smallest returns what hosts of each of these types have for tasks; zero if that is not known of all.
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

// forTasks returns what a host of an instance type has for tasks; false if its name does not tell.
func forTasks(name string) (pool.Resources, bool) {
	size, known := sizeOf(name)
	return pool.Resources{CPUs: size.CPUs, Memory: int64(forHost * float64(size.Memory))}, known
}
