package config

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// aws warns of what costs or waits without need.
func (l *linter) aws() {
	h := l.config.AWS.Hosts
	if h.OnDemandBase > 0 && !h.Spot {
		l.warn("aws.hosts.on_demand_base", "aws.hosts: on_demand_base %d without spot: all hosts are on-demand", h.OnDemandBase)
	}
	if l.config.AWS.VPC != "" && len(l.config.AWS.Subnets) == 1 {
		l.warn("aws.subnets", "aws: one subnet: no host starts while its availability zone has none to give: want two")
	}
	if l.config.Image.Canary != "" {
		l.warn("image.canary_repository", "image.canary_repository: on AWS the canary is the one in the build, and none runs in %s", l.config.Image.Canary)
	}
	for i := range l.config.Pools {
		l.fitsHost(i)
	}
}

// forHost is the part of a host's memory that ECS gives to tasks: what the machine, its
// kernel and the ECS agent take is between 3 and 7 % on hosts of 8 GiB and more.
const forHost = 0.93

// fitsHost warns of a pool whose runners ECS never starts a host for, because the smallest
// instance type is too small for them.
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
				"pool %q never gets a runner: cpus %v and memory %v are more than a %s has for tasks, %v and %v", p.Name, p.CPUs, p.Memory, name, usable.CPUs, Bytes(usable.Memory>>20<<20))
			return
		}
	}
}
