package config

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// aws warns of settings that have no effect, or make jobs wait needlessly.
func (l *linter) aws() {
	h := l.config.AWS.Hosts
	if h.OnDemandBase > 0 && !h.Spot {
		l.warn("aws.hosts.on_demand_base", "aws.hosts: on_demand_base %d without spot: all hosts are on-demand", h.OnDemandBase)
	}
	if l.config.AWS.VPC != "" && len(l.config.AWS.Subnets) == 1 {
		l.warn("aws.subnets", "aws: only one subnet: no host starts while its availability zone has no capacity: use two or more")
	}
	if l.config.Image.Canary != "" {
		l.warn("image.canary_repository", "image.canary_repository has no effect on AWS: the canary runs as part of the build, not in %s", l.config.Image.Canary)
	}
	for i := range l.config.Pools {
		l.fitsHost(i)
	}
}

// forHost is the share of a host's memory that tasks get. The kernel and the ECS agent take
// between 3 and 7 % on hosts of 8 GiB and more.
const forHost = 0.93

// fitsHost warns of a pool that never gets a host: ECS plans with the smallest instance type, and
// that is too small for its runners.
func (l *linter) fitsHost(i int) {
	p := l.config.Pools[i]
	types, at := l.config.AWS.Hosts.Types(p.AWS.Architecture), "aws.hosts."+p.AWS.Architecture+"_types"
	if p.AWS.Hosts.Own() {
		types, at = p.AWS.Hosts.Types, fmt.Sprintf("pools[%d].aws.hosts.types", i)
	}
	for j, name := range types {
		usable, known := forTasks(name)
		if known && !(pool.Resources{CPUs: p.CPUs, Memory: int64(p.Memory)}).Fits(usable) {
			l.warn(fmt.Sprintf("%s[%d]", at, j),
				"pool %q never gets a runner: cpus %v and memory %v do not fit on a %s, which has %v and %v for tasks", p.Name, p.CPUs, p.Memory, name, usable.CPUs, Bytes(usable.Memory>>20<<20))
			return
		}
	}
}
